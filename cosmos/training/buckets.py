"""Few lengths for batches: rows of like length are drawn together and padded to one of a few sizes.

Compiled and recorded steps have fixed shapes, and each shape has its price before it is fast. So batches are padded to
a few sizes, multiples of 8, chosen such that the least is padded. The order is still a function of (seed, step): the
endless row of permutations (`cosmos.training.batches.EpochSampler`) is cut into pools of so many batches, and within a
pool rows are sorted by bucket, cut into batches, and these shuffled. No row is left out or drawn twice, so each is seen
as often as others.

One pool in `MIXED` is left as it comes, and its batches are padded to their longest row: what learns from short texts
on a short canvas also sees them on the whole one, on which texts are generated; and not all batches have texts of one
length. As a loss is divided by the weight of its batch, tokens of short texts count somewhat more than without buckets.

Axis legend: B rows of a batch, n rows of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from cosmos.models.token_head import rounded_up
from cosmos.training.batches import Dataset, EpochSampler, Rows, hashed

MULTIPLE = 8  # of which sizes are: matrix products and masks of attention like it
POOL_BATCHES, MIXED = 16, 4


@runtime_checkable
class RaggedDataset(Dataset, Protocol):
    """A data set whose rows have lengths of their own.

    Attributes:
        lengths: positions that each row needs, int64 [n].
        longest: positions that a row may have at most.
    """

    @property
    def lengths(self) -> Tensor: ...

    @property
    def longest(self) -> int: ...

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        """The rows at `index`, int64 [B], padded to `length` positions, or to the longest of them."""
        ...


def bucket_sizes(lengths: Tensor, count: int, longest: int) -> tuple[int, ...]:
    """At most `count` sizes, ascending, of which the last holds the longest row: those that pad the least.

    Args:
        lengths: int64 [n].
        longest: which no size exceeds, though it is no multiple of 8.
    """
    rounded = (lengths.clamp_min(1) + MULTIPLE - 1) // MULTIPLE
    numbers = torch.bincount(rounded)  # rows by their number of eights
    steps = [step for step, number in enumerate(numbers.tolist()) if number]
    rows = [int(numbers[step]) for step in steps]
    # best[k][j]: the least padded area of the j shortest groups in k sizes, and where the last size begins.
    best: list[list[tuple[float, int]]] = [[(0.0, 0)] + [(float("inf"), 0)] * len(steps)]
    for _ in range(min(count, len(steps))):
        before = best[-1]
        best.append([(0.0, 0)])
        for last in range(1, len(steps) + 1):
            options = ((before[first][0] + steps[last - 1] * sum(rows[first:last]), first) for first in range(last))
            best[-1].append(min(options))
    sizes: list[int] = []
    last = len(steps)
    for part in reversed(best[1:]):
        if last == 0:
            break
        sizes.append(min(longest, steps[last - 1] * MULTIPLE))
        last = part[last][1]
    return tuple(sorted(sizes))


def padded_share(lengths: Tensor, sizes: Sequence[int]) -> float:
    """Positions that are computed with these sizes, as a share of those with the largest alone."""
    if len(sizes) < 2:
        return 1.0
    edges = torch.tensor(sizes)
    share = float(edges[torch.bucketize(lengths, edges)].double().mean()) / sizes[-1]
    return share + (1.0 - share) / MIXED


class BucketSampler:
    """The order of the data by buckets; see the module's docstring.

    Args:
        order: the permutations.
        lengths: int64 [n]. sizes: as `bucket_sizes` gives them.
        batch_size: B, of the global batch.
        seed: of the order of batches within pools.
    """

    def __init__(self, order: EpochSampler, lengths: Tensor, sizes: Sequence[int], batch_size: int, seed: int) -> None:
        self.order, self.lengths, self.batch_size, self.seed = order, lengths, batch_size, seed
        self.sizes = torch.tensor(sizes)
        self.buckets = torch.bucketize(lengths, self.sizes)  # int64 [n]
        self._pools: dict[int, Tensor] = {}

    def batch(self, step: int) -> tuple[Tensor, int]:
        """Data rows of a step's global batch, int64 [B], and the size that they are padded to."""
        number, place = divmod(step, POOL_BATCHES)
        rows = self._pool(number)[place]
        return rows, int(self.sizes[self.buckets[rows].max()])

    def _pool(self, number: int) -> Tensor:
        """Data rows of a pool's batches, int64 [POOL_BATCHES, B]; the last two pools are remembered."""
        if (found := self._pools.get(number)) is not None:
            return found
        size = POOL_BATCHES * self.batch_size
        rows = self.order.rows(number * size, (number + 1) * size)
        if len(self.sizes) > 1 and number % MIXED != MIXED - 1:
            places = self.buckets[rows].argsort(stable=True).view(POOL_BATCHES, -1)
            generator = torch.Generator().manual_seed(hashed(self.seed, "pool", number))
            places = places[torch.randperm(POOL_BATCHES, generator=generator)]
            rows = rows[places.sort(1).values.flatten()]  # within a batch in the order of the permutation
        pool = rows.view(POOL_BATCHES, -1)
        before = {key: value for key, value in self._pools.items() if key == number - 1}
        self._pools = {**before, number: pool}
        return pool


class Batches:
    """What each step is given: one process's part of its batch.

    Args:
        sizes: that batches are padded to; none: each to its own longest row, whoever works on that one.
        part: which rows of a global batch are this process's; None: all.
        scored: of rows, which positions the loss reads out, bool [B, L]; rows then have them as "positions".
        static_shapes: as `cosmos.training.batches.Batch` has it.
    """

    def __init__(
        self,
        data: Dataset,
        order: EpochSampler,
        sizes: Sequence[int],
        batch_size: int,
        part: Tensor | slice | None,
        seed: int,
        scored: Callable[[Rows], Tensor] | None = None,
        static_shapes: bool = False,
    ) -> None:
        self.data: Any = data
        self.order, self.batch_size, self.part = order, batch_size, part
        self.scored, self.static_shapes = scored, static_shapes
        self.ragged: BucketSampler | None = None
        if sizes:
            assert isinstance(data, RaggedDataset)
            self.ragged = BucketSampler(order, data.lengths, sizes, batch_size, seed)

    def __call__(self, step: int) -> Rows:
        if self.ragged is not None:
            index, length = self.ragged.batch(step)
            rows = self.data.batch(index if self.part is None else index[self.part], length)
        else:
            index = self.order.rows(step * self.batch_size, (step + 1) * self.batch_size)
            if self.part is None or self.static_shapes:
                rows = self.data.batch(index if self.part is None else index[self.part])
            else:  # padded as it is for one process, so that sums, and what dropout draws, are those of one
                rows = {name: value[self.part] for name, value in self.data.batch(index).items()}
        if self.scored is not None:
            rows["positions"] = positions_to_read(self.scored(rows), self.static_shapes)
        return rows


def positions_to_read(scored: Tensor, fixed: bool) -> Tensor:
    """Where a boolean [B, L] is True: flat positions int64 [M].

    With `fixed`, M is rounded up (`cosmos.models.token_head.rounded_up`); what that adds is -1.
    """
    positions = scored.flatten().nonzero()[:, 0]
    if not fixed:
        return positions
    added = rounded_up(len(positions), scored.numel()) - len(positions)
    return functional.pad(positions, (0, added), value=-1)
