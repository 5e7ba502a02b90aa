"""Which texts stood in a corpus, told long after, from a few bits a sentence.

Of every sentence's start in a corpus the first words are hashed, at a few lengths, into a Bloom filter (Bloom, 1970:
"Space/time trade-offs in hash coding with allowable errors"). Whether a text stood there, as a whole or within another,
is then asked by its own first words, as many as the longest of these lengths that it has. The filter never forgets a
text; it takes one for another where both begin with the same words, and once in some thousands by chance. Case and
spaces count nothing. Texts of fewer words than the shortest length may stand anywhere, and are not told.

Standard library and numpy only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from cosmos.io.errors import UserError
from cosmos.io.files import write_bytes

LENGTHS = (8, 24)  # words
BITS, PROBES = 16, 8  # of the filter for each sentence's start and length; and of each of them
_AT_ONCE = 1 << 18


def openings(text: str) -> Iterator[int]:
    """Hashes below 2^64 of the first words of all sentences of a text, at each length that is left from there."""
    words = text.lower().split()
    for at in range(len(words)):
        if at == 0 or words[at - 1].rstrip("\"')]")[-1:] in (".", "!", "?"):
            for length in LENGTHS:
                if at + length <= len(words):
                    yield _hash(words[at : at + length])


def telling(text: str) -> int | None:
    """The hash by which a text is asked for; None where it is too short."""
    words = text.lower().split()
    lengths = [length for length in LENGTHS if length <= len(words)]
    return _hash(words[: lengths[-1]]) if lengths else None


def _hash(words: Sequence[str]) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest(), "little")


def _places(hashes: np.ndarray, bits: int) -> np.ndarray:
    """Bits of each hash, uint64 [PROBES, n]: two halves, mixed by double hashing."""
    step = (hashes >> np.uint64(32)) | np.uint64(1)
    number = np.arange(PROBES, dtype=np.uint64)[:, None]
    return (hashes[None] + number * step[None]) & np.uint64(bits - 1)


def write_filter(path: Path, hashes: Iterable[np.ndarray], count: int) -> None:
    """Write the filter of so many hashes, uint64 arrays in any number."""
    bits = 1 << max(10, (BITS * max(1, count) - 1).bit_length())
    held = np.zeros(bits // 8, dtype=np.uint8)
    for part in hashes:
        for start in range(0, len(part), _AT_ONCE):
            places = _places(part[start : start + _AT_ONCE], bits).ravel()
            np.bitwise_or.at(held, places >> np.uint64(3), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8))
    write_bytes(path, held.tobytes())


def met(path: Path, texts: Sequence[str]) -> tuple[int, int]:
    """How many of the texts stood in the corpora of a filter, and how many are long enough to tell.

    Raises:
        UserError: the filter is missing or damaged.
    """
    try:
        held = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read {path} ({error}); restore it from a copy.") from error
    if len(held) < 128 or len(held) & (len(held) - 1):
        raise UserError(f"{path} is damaged; restore it from a copy.")
    hashes = np.array([h for text in texts if (h := telling(text)) is not None], dtype=np.uint64)
    if not len(hashes):
        return 0, 0
    places = _places(hashes, 8 * len(held))
    bits = (held[places >> np.uint64(3)] >> (places & np.uint64(7)).astype(np.uint8)) & 1
    return int(bits.all(0).sum()), len(hashes)
