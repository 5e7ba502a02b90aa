"""Which rows a training step sees, and the noise each of them gets. Both follow from (seed, step) alone.

Axis legend: B rows of a batch, n rows of the data.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from cosmos.runtime.rng import CounterRNG

Rows = dict[str, Tensor]
"""Tensors by name, whose first axis is B."""


class Batch(Rows):
    """Rows as a loss is given them.

    Args:
        rows: tensors by name.
        static_shapes: whether the shapes of all that is computed must follow from those of the batch alone, as in a
            step that is recorded as a CUDA graph; a loss must not ask then how many positions it is about. What a batch
            is padded to is then all that is computed (`cosmos.training.buckets`).
        progress: share of the budget used, a scalar on the batch's device; None where nothing is trained.
    """

    def __init__(
        self,
        rows: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]],
        static_shapes: bool = False,
        progress: Tensor | None = None,
    ) -> None:
        super().__init__(rows)
        self.static_shapes, self.progress = static_shapes, progress

    def having(self, rows: Mapping[str, Tensor]) -> Batch:
        """A batch with other rows, which is the same in all else."""
        return Batch(rows, self.static_shapes, self.progress)

    def to(self, device: torch.device) -> Batch:
        """The batch on a device, which is not waited for."""
        return self.having({name: value.to(device, non_blocking=True) for name, value in self.items()})


class Dataset(Protocol):
    """A data set that can be indexed; gives tensors on the CPU, which may lie in memory-mapped files."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Rows:
        """The rows at `index`, int64 [B], as tensors whose first axis is B."""
        ...


class Order(Protocol):
    """Which rows of the data come at which place of an endless row of them."""

    def rows(self, start: int, stop: int) -> Tensor:
        """Data rows at places start ... stop - 1, int64 [stop - start]."""
        ...


@runtime_checkable
class BringsOrder(Protocol):
    """A data set that is not seen in permutations of all of its rows, such as corpora that differ in weight."""

    def order(self, seed: int) -> Order: ...


def hashed(*parts: object) -> int:
    """A number below 2^62 that depends on all parts, the same on every machine."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "big") >> 2


def row_seeds(base: int, start: int, stop: int, device: torch.device) -> CounterRNG:
    """One stream each for places start ... stop - 1 of a batch whose number is `base`, a value of `hashed`."""
    return CounterRNG(torch.arange(start, stop, device=device) + base)


def rows_of(batch_size: int, rank: int, count: int) -> list[int]:
    """Which rows of a batch are the work of one of `count` processes: one of each `count` in a row, the last perhaps of
    none, by turns, so that strata and self-conditioned rows lie as evenly in every part as in the whole."""
    groups = range(-(-batch_size // count))
    places = [group * count + (rank + group) % count for group in groups]
    return [place for place in places if place < batch_size]


class EpochSampler:
    """The order of the data: an endless row of permutations of n, one per (seed, epoch)."""

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed = length, seed
        self._epochs: dict[int, Tensor] = {}

    def _epoch(self, epoch: int) -> Tensor:
        """The permutation of an epoch, int64 [n]; the last two are remembered."""
        if (found := self._epochs.get(epoch)) is not None:  # several threads may ask
            return found
        generator = torch.Generator().manual_seed(hashed(self.seed, "order", epoch))
        before = {number: order for number, order in self._epochs.items() if number == epoch - 1}
        fresh = torch.randperm(self.length, generator=generator)
        self._epochs = {**before, epoch: fresh}
        return fresh

    def rows(self, start: int, stop: int) -> Tensor:
        """Data rows at places start ... stop - 1, int64 [stop - start]; epochs follow each other without a gap."""
        pieces = []
        while start < stop:
            epoch, place = divmod(start, self.length)
            taken = min(stop - start, self.length - place)
            pieces.append(self._epoch(epoch)[place : place + taken])
            start += taken
        return torch.cat(pieces)


Made = TypeVar("Made")


class Prefetcher(Generic[Made]):
    """The batches of consecutive steps; those of coming ones are put together by a thread while a GPU is busy.

    Args:
        make: the batch of a step.
        first: the step that is asked for first.
        depth: how many steps ahead; 0: none, and no thread.
        threads: how many batches are put together at a time.
    """

    def __init__(self, make: Callable[[int], Made], first: int, depth: int, threads: int = 1) -> None:
        self._make, self._next = make, first
        self._thread = ThreadPoolExecutor(threads, thread_name_prefix="batches") if depth else None
        self._begun: deque[Future[Made]] = deque()
        for _ in range(depth):
            self._begin()

    def _begin(self) -> None:
        assert self._thread is not None
        self._begun.append(self._thread.submit(self._make, self._next))
        self._next += 1

    def take(self) -> Made:
        """The batch of the next step; what went wrong in the thread is raised here."""
        if self._thread is None:
            self._next += 1
            return self._make(self._next - 1)
        self._begin()
        return self._begun.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
