"""GPT-2's likelihood against closed forms: probabilities that sum to one, each pair's loss its own."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from baselines.autoregressive.gpt2 import target_nll
from baselines.common.token_rows import join
from cosmos.text.vocabulary import PAD, SEP

V, L = 5, 3


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    """A tiny network in float64 whose predictions are far from flat."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = GPT2Config(vocab_size=V, n_positions=24, n_embd=16, n_layer=2, n_head=2, initializer_range=0.4)
        return GPT2LMHeadModel(config).double().eval().requires_grad_(False)


def ragged(*rows: list[int]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


PROMPTS = ragged([4, 1, 2, SEP], [SEP], [1, 4, 4, 4, 2, 1, SEP], [2, SEP])


def test_probabilities_of_all_texts_sum_to_one(model: GPT2LMHeadModel) -> None:
    texts = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [125, L]
    for prompt in ([SEP], [4, 2, SEP]):
        rows = torch.cat([torch.tensor(prompt).expand(len(texts), -1), texts], 1)
        start = torch.full((len(texts),), len(prompt))
        nll, counts = target_nll(model, rows, start, start + L)
        assert int(counts.sum()) == len(texts) * L
        assert nll.dtype == torch.float64
        assert float((-nll.sum(1)).exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_the_loss_is_that_of_each_pair_alone(model: GPT2LMHeadModel) -> None:
    targets = ragged([2, SEP], [1, 4, 2, 1, SEP], [SEP], [4, SEP])
    together, _ = target_nll(model, *join(PROMPTS, targets))
    for row, (source, target) in enumerate(zip(PROMPTS, targets, strict=True)):
        source, target = source[source != PAD], target[target != PAD]
        logits = model(torch.cat([source, target])[None]).logits[0, len(source) - 1 : -1]
        alone = torch.nn.functional.cross_entropy(logits, target, reduction="sum")
        assert float(together[row].sum()) == pytest.approx(float(alone), rel=1e-12)


def test_the_loss_fills_no_cache(model: GPT2LMHeadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of keys and values would take time from a budget in seconds."""
    monkeypatch.setattr(DynamicCache, "update", lambda *_, **__: pytest.fail("keys and values were copied"))
    target_nll(model, *join(PROMPTS, ragged([2, SEP], [1, SEP], [SEP], [4, SEP])))
    with pytest.raises(pytest.fail.Exception):
        model(PROMPTS)
