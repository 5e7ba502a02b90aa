"""Likelihoods behind the contract: equal to a direct computation, of each document alone, in shared tokens."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.autoregressive.gpt2 import GPT2Recipe, GPT2System
from baselines.common.likelihood import target_likelihoods, unknown_nats
from baselines.common.token_rows import encode_pairs
from baselines.common.transformer import TrunkConfig
from baselines.contract import Budget, Document, HasLikelihood, Limits
from baselines.embedding_diffusion.diffuseq import DiffuSeqSystem
from baselines.latent_diffusion.cosmos import CosmosSystem
from baselines.reference.oracle import OracleSystem
from baselines.reference.trivial import CopySystem
from baselines.registry import find
from baselines.token_diffusion.duo import Distillation, DuoRecipe, DuoSystem
from baselines.token_diffusion.likelihood import DRAWS
from baselines.token_diffusion.mdlm import MDLMSystem
from baselines.token_diffusion.sedd import SEDDRecipe, SEDDSystem
from baselines.token_diffusion.system import TokenDiffusionRecipe
from cosmos.text.vocabulary import PAD, UNK, Vocabulary

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import DOCUMENTS, LIMITS, TRAINING

BUDGET = Budget(10, "steps")
TRUNK = TrunkConfig(32, 2, 2, 64, time_width=8)
DISTILLATION = Distillation(0.1, 1, 4, TRAINING)
SYSTEMS: dict[str, tuple[type[Any], Any]] = {
    "gpt2": (GPT2System, GPT2Recipe(32, 2, 2, 128, 0.1, TRAINING, BUDGET)),
    "mdlm": (MDLMSystem, TokenDiffusionRecipe(dataclasses.replace(TRUNK, time_width=0), 1, TRAINING, BUDGET)),
    "sedd": (SEDDSystem, SEDDRecipe(TRUNK, 1, TRAINING, BUDGET)),
    "sedd uniform": (SEDDSystem, SEDDRecipe(TRUNK, 1, TRAINING, BUDGET, "uniform")),
    "duo": (DuoSystem, DuoRecipe(TRUNK, 1, TRAINING, BUDGET, DISTILLATION)),
}
TEXTS = [text for document in DOCUMENTS for text in (document.source, document.target) if text is not None]


@pytest.fixture(scope="module")
def systems() -> dict[str, Any]:
    """With random weights, for texts with sources."""
    vocabulary, made = Vocabulary.of(TEXTS), {}
    for name, (kind, recipe) in SYSTEMS.items():
        system = kind(recipe, LIMITS)
        shape = {"vocabulary": vocabulary.padded_size, **system.longest()}
        system.ready(shape, vocabulary, system.fresh(shape, 0), device="cpu", dtype="float32")
        made[name] = system
    return made


def test_who_has_a_likelihood_and_who_says_why_not(systems: dict[str, Any]) -> None:
    assert all(isinstance(system, HasLikelihood) for system in systems.values())
    assert issubclass(OracleSystem, HasLikelihood)
    for kind in (CosmosSystem, DiffuSeqSystem, CopySystem, find("ld4lg"), find("tencdm"), find("reference")):
        assert not issubclass(kind, HasLikelihood)
        assert "likelihood" in kind.no_likelihood or "no model" in kind.no_likelihood


def test_that_of_gpt2_is_a_direct_computation(systems: dict[str, Any]) -> None:
    system = systems["gpt2"]
    found = system.likelihoods(DOCUMENTS[:5], range(5))
    pairs = encode_pairs(DOCUMENTS[:5], system.vocabulary, LIMITS)
    for row, document in enumerate(DOCUMENTS[:5]):
        source, target = (rows[row][rows[row] != PAD] for rows in (pairs.sources, pairs.targets))
        with torch.no_grad():
            logits = system.model(torch.cat([source, target])[None]).logits[0, len(source) - 1 : -1]
        direct = float(-logits.double().log_softmax(-1).gather(1, target[:, None]).sum())
        assert found[row].nats == pytest.approx(direct, rel=1e-5)
        assert (found[row].id, found[row].kind) == (document.id, "exact")


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_depends_on_the_document_and_its_seed_alone(systems: dict[str, Any], name: str) -> None:
    system, seeds = systems[name], list(range(100, 107))
    together = system.likelihoods(DOCUMENTS[:7], seeds)
    backwards = system.likelihoods(DOCUMENTS[6::-1], seeds[::-1])[::-1]
    (alone,) = system.likelihoods(DOCUMENTS[3:4], seeds[3:4])
    assert alone.nats == pytest.approx(together[3].nats, rel=1e-4)
    for one, other in zip(together, backwards, strict=True):
        assert one.nats is not None and one.nats > 0
        assert one.nats == pytest.approx(other.nats, rel=1e-4)
        assert (one.id, one.kind, one.draws) == (other.id, other.kind, other.draws)
    assert {one.draws for one in together} == ({0} if name == "gpt2" else {DRAWS})
    moved = [one.nats for one in system.likelihoods(DOCUMENTS[:7], [seed + 1 for seed in seeds])]
    assert (moved == [one.nats for one in together]) == (name == "gpt2")


def test_what_cannot_be_written_has_none_and_a_reason(systems: dict[str, Any]) -> None:
    long = dataclasses.replace(DOCUMENTS[0], target="lamp " * 40)
    for system in systems.values():
        first, second = system.likelihoods([long, DOCUMENTS[1]], [1, 2])
        assert first.nats is None and "longer than the 13 tokens" in str(first.reason)
        assert second.nats is not None and second.reason is None
        assert [one.nats for one in system.likelihoods([long], [1])] == [None]


def test_an_unknown_token_is_charged_as_each_piece_it_stands_for() -> None:
    vocabulary = Vocabulary.of(["a lamp"])
    left_out = vocabulary.tokenizer.get_vocab_size() - len(vocabulary) + 1  # the pieces without a number, and [UNK]
    assert unknown_nats(vocabulary) == math.log(left_out)
    document = Document("0", None, "a zebra lamp", ("a zebra lamp",))
    limits = Limits(0, 20)
    (found,) = target_likelihoods([document], vocabulary, limits, lambda pairs, places: torch.full((len(places),), 2.0))
    unknown = int((encode_pairs([document], vocabulary, limits).targets == UNK).sum())
    assert unknown >= 1
    assert found.nats == pytest.approx(2.0 + unknown * math.log(left_out))
