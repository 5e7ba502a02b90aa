"""Working on some positions only, where finding out how many there are costs nothing."""

from __future__ import annotations

import math

from torch import Tensor

from cosmos.models.token_head import choose, first_of, rounded_up
from cosmos.runtime.rng import CounterRNG

DEVIATIONS = 10.0  # beyond the mean number of masked positions; that many come up once in 1e23 steps


def can_index_by_mask(tensor: Tensor) -> bool:
    """Whether it costs nothing to ask how many positions are looked for, so that only those are worked on: an
    accelerator would have to be waited for, and a recording has one shape."""
    return tensor.device.type == "cpu"


def masked_positions(masked: Tensor, static_shapes: bool, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """Where `masked`, bool [B, L], is True, as `cosmos.models.token_head.choose` gives it.

    Static shapes (`cosmos.training.batches.Batch`) have room for a fixed number: rows must then be masked with chances
    that cover [0, 1], one from each of B equal strata, as in training; of a batch that is worked on in parts, whose
    chances `seeds` says to be some of the strata, all may be masked.
    """
    if static_shapes:
        return first_of(masked.flatten(), most_masked(*masked.shape) if seeds.spread else masked.numel())
    positions = masked.flatten().nonzero()[:, 0]
    return choose(masked, positions)


def most_masked(rows: int, length: int) -> int:
    """More positions than are ever masked, of `rows` times `length`, under stratified chances.

    The mean is half of them. The variance is that of the positions, the mean of t (1 - t) each, and that of the chances
    within their strata.
    """
    count = rows * length
    deviation = math.sqrt(count / 6.0 + length**2 / (12.0 * rows))
    return min(count, rounded_up(math.ceil(count / 2 + 0.001 * count + DEVIATIONS * deviation), count))
