"""Working on some positions only, where finding out how many there are costs nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from cosmos.models.token_head import choose, first_of, rounded_up
from cosmos.runtime.rng import CounterRNG

DEVIATIONS = 10.0  # beyond the mean number of masked positions; that many come up once in 1e23 steps
MULTIPLE = 16  # of the number of positions that a sampler reads


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


def room_for(mean: float, of: Tensor) -> int:
    """How many of the positions `of` [B, L] are to be read, where `mean` of them are wanted on average, each by a draw
    of its own: all where they can be looked at, elsewhere a number that is exceeded once in 1e16 batches or less.

    Rows of equal seeds draw the same and may exceed it.
    """
    if can_index_by_mask(of):
        return of.numel()
    return min(of.numel(), MULTIPLE * math.ceil((mean + DEVIATIONS * (math.sqrt(mean) + 1.0)) / MULTIPLE))


def chosen(wanted: Tensor, most: int) -> tuple[Tensor | None, Tensor]:
    """Where `wanted`, bool [B, L], is True, as `cosmos.models.token_head.choose` gives it: no more than that where it
    can be looked at, and elsewhere the first `most`; of all positions no index, and which of them count, [B, L]."""
    if can_index_by_mask(wanted):
        return choose(wanted)
    if most >= wanted.numel():
        return None, wanted
    return first_of(wanted.flatten(), most)


def put(values: Tensor, index: Tensor | None, counts: Tensor, found: Tensor) -> Tensor:
    """`values` [B, L] with what was `found` where that counts; index and counts as of `chosen`, found like counts."""
    if index is None:
        return torch.where(counts, found, values)
    flat = torch.cat([values.flatten(), values.new_zeros(1)])  # the last is for what does not count
    return flat.scatter(0, torch.where(counts, index, len(flat) - 1), found)[:-1].view_as(values)


def in_turn(turn: Tensor, calls: int, most: int) -> Iterator[tuple[Tensor | None, Tensor]]:
    """Of each call the flat positions whose `turn` it is, int64 [M], or None for all positions, and where what is found
    there belongs, int64 [M] or [B * L]: B * L for what does not count.

    Args:
        turn: from 0, int64 [B, L]; `calls` where none is.
        most: of a call, where they cannot be looked at.
    """
    turn, positions = turn.flatten(), turn.numel()
    if can_index_by_mask(turn):
        for call in range(calls):
            index = (turn == call).nonzero()[:, 0]
            yield index, index
        return
    if most >= positions:
        everywhere = torch.arange(positions, device=turn.device)
        for call in range(calls):
            yield None, torch.where(turn == call, everywhere, positions)
        return
    ordered, order = turn.sort(stable=True)
    ends = torch.searchsorted(ordered, torch.arange(calls + 1, device=turn.device))  # [calls + 1], where each begins
    ranks = ends[:-1, None] + torch.arange(most, device=turn.device)  # [calls, M]
    index = order[ranks.clamp_max(positions - 1)]
    yield from zip(index, torch.where(ranks < ends[1:, None], index, positions), strict=True)
