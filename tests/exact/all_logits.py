"""Networks that give all of their logits, as samplers ask networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from baselines.token_diffusion.reading import LogitReading


def read_of(predict: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, ...]]:
    """Of a network that gives logits [B, L, V], a call that makes of them what a reading says."""

    def read(*given: Any) -> tuple[Tensor, ...]:
        *inputs, reading = given
        assert isinstance(reading, LogitReading)
        logits = predict(*inputs)
        return reading.of(logits, lambda rows: rows, logits.shape[-1])

    return read
