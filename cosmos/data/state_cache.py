"""Hidden states of training texts, computed once and read from disk through a memory map.

Stored as float16: rounding moves a state by about 0.0002 of a dimension's standard deviation, a thousand times less
than the noise that training adds to it, for half the disk and memory. Tokens of all texts lie end to end, unpadded.

Axis legend: B texts of a batch, L tokens, T tokens of all texts together, D width of the encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cosmos.data.array_cache import ArrayLayout, compute_array, found_by_first, open_array
from cosmos.io.errors import UserError
from cosmos.text.encoder import TOKENS_PER_BATCH, Statistics, TextEncoder
from cosmos.training.batches import Rows
from cosmos.training.budget import Cost
from cosmos.training.distributed import Processes

VARIANCE_FLOOR = 1e-4  # MiniLM has dimensions that never change: divided by their deviation, rounding would blow up
_CHUNK = 1 << 16  # tokens read at once for statistics


class CachedStates:
    """States of a list of texts, on disk.

    Attributes:
        flat: float16 [T, D], memory-mapped.
        lengths: int64 [number of texts], tokens of each, specials included.
        cut: how many texts were longer than the limit.
        cost: what computing them took, over all attempts.
    """

    def __init__(self, flat: Tensor, lengths: Tensor, cut: int, cost: Cost) -> None:
        assert len(flat) == int(lengths.sum())
        self.flat, self.lengths, self.cut, self.cost = flat, lengths, cut, cost
        self.starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def rows(self, index: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """States float32 [B, length, D] of the texts at `index` (zero beyond their end), and mask bool [B, length]."""
        lengths = self.lengths[index]
        assert int(lengths.max()) <= length
        along = torch.arange(length)
        mask = along < lengths[:, None]  # [B, L]
        places = (self.starts[index][:, None] + along).where(mask, self.starts[index][:, None])
        states = self.flat[places].float()  # [B, L, D]
        return states.masked_fill_(~mask[:, :, None], 0.0), mask

    def longest_of(self, index: Tensor) -> int:
        """Tokens of the longest text at `index`."""
        return int(self.lengths[index].max())

    def batch(self, index: Tensor, length: int, name: str, mask_name: str) -> Rows:
        """What a step is given of the texts at `index`: `rows`, by name."""
        states, mask = self.rows(index, length)
        return {name: states, mask_name: mask}

    def statistics(self) -> Statistics:
        """Mean and deviation of each dimension over all tokens, specials included; the variance is at least 1e-4."""
        shift = self.flat[:_CHUNK].double().mean(0)  # sums about a near mean lose no digits
        first, second = torch.zeros_like(shift), torch.zeros_like(shift)
        for start in range(0, len(self.flat), _CHUNK):
            part = self.flat[start : start + _CHUNK].double() - shift
            first += part.sum(0)
            second += part.square().sum(0)
        mean = first / len(self.flat)
        variance = second / len(self.flat) - mean.square()
        return Statistics((mean + shift).float(), variance.clamp(min=VARIANCE_FLOOR).sqrt().float())


def states_key(encoder: TextEncoder, texts: Sequence[str], max_tokens: int) -> str:
    """A hash of texts and of all that their states depend on."""
    digest = hashlib.blake2b(digest_size=16)
    settings = (encoder.fingerprint, encoder.precision, max_tokens, "float16", TOKENS_PER_BATCH, len(texts))
    digest.update(repr(settings).encode())
    for text in texts:
        content = text.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def open_states(folder: Path) -> CachedStates:
    """The states in `folder`, whatever texts they are of.

    Raises:
        UserError: they are missing or damaged.
    """

    def build(flat: Tensor, about: dict[str, Any]) -> CachedStates:
        lengths = torch.tensor(about["lengths"], dtype=torch.int64)
        return CachedStates(flat, lengths, about["cut"], Cost(about["seconds"], about["flops"]))

    return open_array(folder, "states", build)


def cache_states(
    encoder: TextEncoder,
    texts: Sequence[str],
    folder: Path,
    max_tokens: int,
    progress: Callable[[float], None] = lambda share: None,
    processes: Processes | None = None,
) -> CachedStates:
    """States of `texts`, from `states.npy` in `folder` if they are there already, else computed and left there
    (`cosmos.data.array_cache`), in groups of similar length. Those of other texts, another encoder or other limits in
    that folder are replaced.

    Args:
        max_tokens: longest text in tokens, specials included; longer texts are cut.
        progress: called with the share done.
        processes: that call this together; each encodes a part.

    Raises:
        UserError: no texts, or the folder cannot be written.
    """
    if not texts:
        raise UserError("There are no texts to encode; give at least one.")
    key = states_key(encoder, texts, max_tokens)
    if not found_by_first(folder, "states", key, processes):
        rows, cut = encoder.ids(texts, max_tokens)
        lengths = [len(row) for row in rows]

        def compute(group: Sequence[int]) -> list[Tensor]:
            return [states.half() for states in encoder.states([rows[i] for i in group])]

        layout, notes = ArrayLayout(lengths, (encoder.width,), "<f2"), {"lengths": lengths, "cut": cut}
        compute_array(folder, "states", key, layout, encoder.groups(rows), compute, progress, notes, processes)
    return open_states(folder)
