"""Hidden states of training texts, computed once and read from disk through a memory map.

Stored as float16: rounding moves a state by about 0.0002 of a dimension's standard deviation, a thousand times less
than the noise that training adds to it, for half the disk and memory. Tokens of all texts lie end to end, unpadded.

    states.npy             float16 [T, D], complete as soon as it has this name
    states.json            key (hash of encoder, texts and limits), lengths, number of texts cut, what it cost
    states.npy.partial     work begun
    states.partial.json    how much of it is done

Axis legend: B texts of a batch, L tokens, T tokens of all texts together, D width of the encoder.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from cosmos.io.errors import UserError
from cosmos.io.files import make_folder, read_json, saving, write_json
from cosmos.runtime.flops import measure_flops
from cosmos.text.encoder import TOKENS_PER_BATCH, Statistics, TextEncoder

VARIANCE_FLOOR = (
    1e-4  # MiniLM has dimensions that never change; dividing by their deviation would blow up rounding noise
)
_SAVE_SECONDS = 10.0  # longest work that a kill can lose
_CHUNK = 1 << 16  # tokens read at once for statistics


class CachedStates:
    """States of a list of texts, on disk.

    Attributes:
        flat: float16 [T, D], memory-mapped.
        lengths: int64 [number of texts], tokens of each, specials included.
        cut: how many texts were longer than the limit.
        seconds, flops: what computing them cost, over all attempts.
    """

    def __init__(self, flat: Tensor, lengths: Tensor, cut: int, seconds: float, flops: float) -> None:
        assert len(flat) == int(lengths.sum())
        self.flat, self.lengths, self.cut, self.seconds, self.flops = flat, lengths, cut, seconds, flops
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
    about = read_json(folder / "states.json")
    try:
        flat = np.load(folder / "states.npy", mmap_mode="c")  # copy on write: torch wants memory it could write to
        lengths = torch.tensor(about["lengths"], dtype=torch.int64)
        return CachedStates(torch.from_numpy(flat), lengths, about["cut"], about["seconds"], about["flops"])
    except (OSError, ValueError, KeyError, AssertionError) as error:
        raise UserError(f"The cached states in {folder} are damaged; delete that folder and run again.") from error


def cache_states(
    encoder: TextEncoder,
    texts: Sequence[str],
    folder: Path,
    max_tokens: int,
    progress: Callable[[float], None] = lambda share: None,
) -> CachedStates:
    """States of `texts`, from `folder` if they are there already, else computed and left there.

    Texts are run in groups of similar length. Killed and called again, it goes on with the groups that are missing.
    States of other texts, another encoder or other limits in that folder are replaced.

    Args:
        max_tokens: longest text in tokens, specials included; longer texts are cut.
        progress: called with the share done.

    Raises:
        UserError: no texts, or the folder cannot be written.
    """
    if not texts:
        raise UserError("There are no texts to encode; give at least one.")
    key = states_key(encoder, texts, max_tokens)
    about, begun = folder / "states.json", folder / "states.partial.json"
    if about.exists() and (folder / "states.npy").exists() and read_json(about).get("key") == key:
        return open_states(folder)
    make_folder(folder)
    rows, cut = encoder.ids(texts, max_tokens)
    lengths = torch.tensor([len(row) for row in rows])
    partial = folder / "states.npy.partial"
    done = _Done(key)
    if begun.exists() and partial.exists() and (stored := read_json(begun)).get("key") == key:
        done = _Done(**stored)
    with saving(folder / "states.npy"):
        about.unlink(missing_ok=True)  # it would speak of states that are about to be replaced
        with partial.open("r+b" if done.groups else "w+b") as file:
            for reached in _fill(encoder, rows, lengths, file, done, progress):
                write_json(begun, asdict(reached))
                done = reached
        partial.replace(folder / "states.npy")
        write_json(about, {**asdict(done), "lengths": lengths.tolist(), "cut": cut})
        begun.unlink(missing_ok=True)
    return open_states(folder)


@dataclass(frozen=True)
class _Done:
    """How much has been computed, and what it cost."""

    key: str
    groups: int = 0
    seconds: float = 0.0
    flops: float = 0.0


def _fill(
    encoder: TextEncoder,
    rows: Sequence[Sequence[int]],
    lengths: Tensor,
    file: BinaryIO,
    done: _Done,
    progress: Callable[[float], None],
) -> Iterator[_Done]:
    """Compute the groups of rows that are missing and write each text's states to its place in an .npy file.

    Yields how much is safely on disk, now and then and at the end.
    """
    file.seek(0)
    shape = (int(lengths.sum()), encoder.width)
    np.lib.format.write_array_header_2_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
    starts = (file.tell() + (lengths.cumsum(0) - lengths) * encoder.width * 2).tolist()  # bytes
    groups = encoder.groups(rows)
    started = saved = time.perf_counter()
    flops = done.flops
    for number, group in enumerate(groups[done.groups :], done.groups + 1):
        computed, cost = _computed(encoder, [rows[i] for i in group])
        flops += cost
        for place, states in zip(group, computed, strict=True):
            # Written, not mapped: a full disk is then an error and not a signal that ends the process.
            file.seek(starts[place])
            file.write(states.half().cpu().numpy().tobytes())
        progress(number / len(groups))
        now = time.perf_counter()
        if number == len(groups) or now - saved > _SAVE_SECONDS:
            file.flush()
            os.fsync(file.fileno())
            saved = now
            yield _Done(done.key, number, done.seconds + now - started, flops)


def _computed(encoder: TextEncoder, rows: Sequence[Sequence[int]]) -> tuple[list[Tensor], float]:
    """States of some rows, and the FLOPs they took."""
    states: list[Tensor] = []
    return states, measure_flops(lambda: states.extend(encoder.states(rows)))
