"""Draws from a categorical distribution: frequencies, edges, the nucleus."""

from __future__ import annotations

import torch

from baselines.common.sampling import categorical, nucleus
from cosmos.runtime.rng import CounterRNG


def test_frequencies_are_the_probabilities() -> None:
    probabilities = torch.tensor([0.5, 0.0, 0.2, 0.25, 0.05])
    tokens = categorical(probabilities.expand(40_000, 5), CounterRNG(torch.arange(40_000)).uniform())
    observed = torch.bincount(tokens, minlength=5).double()
    assert observed[1] == 0
    expected = 40_000 * probabilities.double()
    assert float(((observed - expected) ** 2 / expected)[[0, 2, 3, 4]].sum()) < 16.3  # 0.999 quantile, 3 degrees


def test_rare_tokens_are_drawn() -> None:
    probabilities = torch.tensor([1.0, 1e-12])
    at_the_end = torch.tensor([1 - 2.0**-53, 0.5], dtype=torch.float64)
    assert categorical(probabilities.expand(2, 2), at_the_end).tolist() == [1, 0]


def test_a_token_of_no_probability_is_never_drawn() -> None:
    probabilities = torch.tensor([0.0, 0.3, 0.7, 0.0])
    edges = torch.tensor([2.0**-54, 0.3, 1 - 2.0**-53, 1.0], dtype=torch.float64)
    tokens = categorical(probabilities.expand(4, 4), edges)
    assert bool(((tokens == 1) | (tokens == 2)).all())


def test_the_nucleus_keeps_the_token_that_crosses() -> None:
    logits = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.25, 0.25, 0.25, 0.25]]).log()
    assert nucleus(logits, 0.6).isfinite().tolist() == [[False, True, False, True], [True, True, True, False]]
    assert nucleus(logits, 0.3).isfinite().tolist() == [[False, True, False, False], [True, True, False, False]]
    assert torch.equal(nucleus(logits, 1.0), logits)
    kept = nucleus(logits, 0.6)
    assert torch.equal(kept[kept.isfinite()], logits[kept.isfinite()])
