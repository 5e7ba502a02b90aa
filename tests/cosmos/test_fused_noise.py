"""Noise is the same where its integers are hashed by compiled code."""

from __future__ import annotations

import pytest
import torch

from cosmos import regions
from cosmos.randomness import Seeds


@pytest.mark.skipif(not regions.has_compiler(), reason="compiling needs a C++ compiler")
def test_compiled_noise_is_the_same_noise() -> None:
    def draws() -> list[torch.Tensor]:
        seeds = Seeds(torch.arange(3))
        return [seeds.uniform(5), seeds.normal(70, 3), seeds.uniform(), seeds.normal(2)]

    torch._dynamo.reset()
    expected = draws()
    with regions.compiled([]):
        for one, other in zip(draws(), expected, strict=True):
            assert torch.equal(one, other)
