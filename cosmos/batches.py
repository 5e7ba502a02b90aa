"""Which rows a training step sees, and the noise each of them gets. Both follow from (seed, step) alone.

Axis legend: B rows of a batch, n rows of the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from cosmos.randomness import Seeds

Batch = dict[str, Tensor]


class Batches(Protocol):
    """A data set that can be indexed; gives tensors on the CPU, which may lie in memory-mapped files."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch:
        """The rows at `index`, int64 [B], as tensors whose first axis is B."""
        ...


class TensorBatches:
    """Tensors with one row per example, all of the same length.

    Args:
        tensors: name -> tensor [n, ...].
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        assert len(set(lengths.values())) == 1, f"tensors of unequal length: {lengths}"
        self.tensors = dict(tensors)

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batch(self, index: Tensor) -> Batch:
        return {name: tensor[index] for name, tensor in self.tensors.items()}


def hashed(*parts: object) -> int:
    """A number below 2^62 that depends on all parts, the same on every machine."""
    return int.from_bytes(hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest(), "big") >> 2


def row_seeds(base: int, start: int, stop: int, device: torch.device) -> Seeds:
    """One stream each for places start ... stop - 1 of a batch whose number is `base`, a value of `hashed`."""
    return Seeds(torch.arange(start, stop, device=device) + base)


class Order:
    """The order of the data: an endless row of permutations, one per (seed, epoch).

    Args:
        length: n.
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length, self.seed = length, seed
        self._epochs: dict[int, Tensor] = {}

    def _epoch(self, epoch: int) -> Tensor:
        """The permutation of an epoch, int64 [n]; the last two are remembered."""
        if epoch not in self._epochs:
            generator = torch.Generator().manual_seed(hashed(self.seed, "order", epoch))
            before = {number: order for number, order in self._epochs.items() if number == epoch - 1}
            self._epochs = {**before, epoch: torch.randperm(self.length, generator=generator)}
        return self._epochs[epoch]

    def rows(self, start: int, stop: int) -> Tensor:
        """Data rows at places start ... stop - 1, int64 [stop - start]; epochs follow each other without a gap."""
        pieces = []
        while start < stop:
            epoch, place = divmod(start, self.length)
            taken = min(stop - start, self.length - place)
            pieces.append(self._epoch(epoch)[place : place + taken])
            start += taken
        return torch.cat(pieces)
