"""Noise is the same where its integers are hashed by compiled code."""

from __future__ import annotations

import pytest
import torch

from cosmos.runtime import compilation
from cosmos.runtime.rng import CounterRNG


@pytest.mark.slow
@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
def test_compiled_noise_is_the_same_noise() -> None:
    def draws(compiled: bool) -> list[torch.Tensor]:
        seeds = CounterRNG(torch.arange(3), compiled)
        return [seeds.uniform(5), seeds.normal(70, 3), seeds.uniform(), seeds.normal(2)]

    torch._dynamo.reset()
    expected = draws(compiled=False)
    with compilation.compiled([]):
        for one, other in zip(draws(compiled=True), expected, strict=True):
            assert torch.equal(one, other)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
