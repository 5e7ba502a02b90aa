"""The order in which several corpora are seen: each in its share, each text of one as often as its others.

Nothing is as long as the data. Which corpus a place of the endless row of texts belongs to is decided in blocks, in
each of which every corpus has its share, exactly but for rounding that later blocks make up for; which text of a corpus
comes next is a permutation that is computed, not kept: a Feistel network on numbers of enough bits, walked until it
meets a number that is a text (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).

Axis legend: B places, C corpora, n texts of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from cosmos.training.batches import hashed

BLOCK = 8192  # places; at least the square of the number of corpora
_ROUNDS = 6


def permuted(index: Tensor, count: int, key: int) -> Tensor:
    """Images of numbers below `count`, int64 [B], under a permutation of them that follows from the key."""
    half = max(1, math.ceil((count - 1).bit_length() / 2))
    keys = [hashed(key, "round", number) for number in range(_ROUNDS)]
    found = _feistel(index, half, keys)
    while bool((outside := found >= count).any()):
        found = torch.where(outside, _feistel(found, half, keys), found)
    return found


def _feistel(x: Tensor, half: int, keys: Sequence[int]) -> Tensor:
    """A permutation of the numbers of 2 * half bits."""
    low = (1 << half) - 1
    left, right = x >> half, x & low
    for key in keys:
        # The finaliser of MurmurHash3 (Appleby, public domain), whose shifts here stay among positive numbers.
        mixed = (right + key) & 0x7FFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 33)) * -49064778989728563) & 0x7FFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 33)) * -4265267296055464877) & 0x7FFFFFFFFFFFFFFF
        left, right = right, left ^ ((mixed ^ (mixed >> 33)) & low)
    return (left << half) | right


class MixtureOrder:
    """Rows of joined corpora at any places of the endless row of texts, as `cosmos.training.batches.EpochSampler`.

    Args:
        counts: texts of each corpus; rows of the second come after all of the first, and so on.
        weights: how often a text of each is seen for every time that one of weight 1 is.
    """

    def __init__(self, counts: Sequence[int], weights: Sequence[float], seed: int) -> None:
        assert len(counts) == len(weights) and len(counts) ** 2 <= BLOCK and min(counts) > 0
        self.counts, self.seed = list(counts), seed
        total = math.fsum(count * weight for count, weight in zip(counts, weights, strict=True))
        self.shares = [count * weight / total for count, weight in zip(counts, weights, strict=True)]
        self.largest = max(range(len(counts)), key=lambda corpus: self.shares[corpus])
        self.first_rows = [sum(counts[:corpus]) for corpus in range(len(counts))]

    def _seen(self, places: int) -> list[int]:
        """Texts of each corpus before so many places; the largest takes what rounding leaves."""
        seen = [math.floor(places * share) for share in self.shares]
        seen[self.largest] += places - sum(seen)
        return seen

    def _block(self, number: int) -> Tensor:
        """The rows at the places of a block, int64 [BLOCK]."""
        before, after = self._seen(number * BLOCK), self._seen((number + 1) * BLOCK)
        rows = []
        for corpus, (start, stop) in enumerate(zip(before, after, strict=True)):
            place = torch.arange(start, stop)
            epoch, text = place // self.counts[corpus], place % self.counts[corpus]
            for each in epoch.unique().tolist():
                key = hashed(self.seed, "order", corpus, each)
                image = permuted(text[epoch == each], self.counts[corpus], key)
                rows.append(image + self.first_rows[corpus])
        generator = torch.Generator().manual_seed(hashed(self.seed, "mixture", number))
        return torch.cat(rows)[torch.randperm(BLOCK, generator=generator)]

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows at places start ... stop - 1, int64 [stop - start]."""
        pieces = []
        while start < stop:
            number, place = divmod(start, BLOCK)
            taken = min(stop - start, BLOCK - place)
            pieces.append(self._remembered(number)[place : place + taken])
            start += taken
        return torch.cat(pieces)

    def _remembered(self, number: int) -> Tensor:
        """A block, of which the last that was asked for is kept."""
        last = getattr(self, "_last", None)
        if last is None or last[0] != number:
            last = (number, self._block(number))
            self._last = last
        return last[1]
