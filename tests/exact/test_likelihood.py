"""Likelihoods of trained rivals against the entropy of the source they learnt from, which the grammar knows exactly.

No model's mean loss on fresh texts can be below the source's entropy, but for chance; one that has learnt the language
comes near. Stories are used, whose entropy is spread over all their words. Measured on one core in ten minutes: entropy
0.6150, GPT-2 0.6387, MDLM at most 1.0836 nats a token.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import catalogue
from baselines.contract import Budget, Corpus
from baselines.gpt2 import target_nll
from baselines.sequence import encode_pairs, join
from benchmarks.data import world
from benchmarks.data.built_in import World, WorldOptions
from benchmarks.tasks.story import TASK

BUDGET = Budget(1.5e13, "flops")
FRESH = 400


def fitted(name: str, folder: Path, **changes: Any) -> tuple[Any, Any, Corpus]:
    """A rival at preset nano after less than one pass over the stories; loaded."""
    source = World(WorldOptions(train=60_000, validation=FRESH, seed=5))
    corpus = Corpus(source.load("story", "train"), source.load("story", "validation"))
    kind: Any = catalogue.find(name)
    system = kind(dataclasses.replace(kind.presets["nano"], **changes), TASK.limits)
    cost = system.fit(corpus, BUDGET, folder, seed=0, device="cpu")
    system.load(folder, device="cpu", dtype="float32")
    return system, cost, corpus


@pytest.mark.slow
def test_the_loss_of_gpt2_comes_near_the_entropy_and_the_bound_of_mdlm_lies_above(tmp_path: Path) -> None:
    # Without dropout, as no story is seen twice and there is nothing to overfit.
    gpt2, _, corpus = fitted("gpt2", tmp_path / "gpt2", dropout=0.0)
    pairs = encode_pairs(corpus.validation, gpt2.vocabulary, TASK.limits)
    assert pairs.cut_targets == 0
    tokens, starts, ends = join(pairs.sources, pairs.targets)
    with torch.inference_mode():
        nll, counts = target_nll(gpt2.model, tokens, starts, ends)
    number = int(counts.sum())
    truth = [-world.log_prob_story(document.target) for document in corpus.validation]
    excess = nll.double().sum(1) - torch.tensor(truth, dtype=torch.float64)  # of each story, in nats
    error = float(excess.std()) / math.sqrt(FRESH)
    entropy = world.story_entropy() * FRESH / number  # per token of these stories
    loss = float(nll.double().sum()) / number
    assert float(excess.mean()) > -4 * error, "no model beats the source"
    assert loss == pytest.approx(entropy, rel=0.05), (loss, entropy)

    _, cost, _ = fitted("mdlm", tmp_path / "mdlm")
    print(f"entropy {entropy:.4f}, gpt2 {loss:.4f}, mdlm at most {cost.validation_loss:.4f} nats a token")
    assert entropy < cost.validation_loss < 2 * entropy, "a bound, and one that says something"
