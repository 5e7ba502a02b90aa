"""Tokens of a corpus on disk, written as its file is read, and read through memory maps: memory does not grow with it.

    FOLDER/tokens.bin     the encoder's ids of all texts, end to end, specials included
    FOLDER/starts.bin     int64, where each text begins, and the end
    FOLDER/openings.bin   uint64, what `cosmos.io.openings` tells its texts by
    FOLDER/about.json     the last to be written

A text that is longer than the limit becomes several, runs of whole sentences; a sentence longer still loses its tail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypedDict

import numpy as np
import torch
from torch import Tensor

from cosmos.data.loop_states import LoopStates
from cosmos.io import seals
from cosmos.io.errors import UserError
from cosmos.io.files import make_folder, saving
from cosmos.io.openings import openings
from cosmos.io.typed_json import read_as
from cosmos.text.corpora import CorpusFile, read_rows
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import pieces

_AGAIN = "delete that folder and run again"
_AT_ONCE = 4096  # texts that are cut into tokens together
_TOKENS_PER_WORD = 1.5  # of English with its punctuation, about
_SMALL = 1 << 15  # tokenizers of no more pieces fit into two bytes a token


class _About(TypedDict):
    key: str
    sha256: str
    texts: int
    cut: int
    openings: int
    numbers: list[int]


@dataclass(frozen=True)
class StoredCorpus:
    """A corpus as tokens.

    Attributes:
        states: of its texts, to be computed in the loop.
        sha256: of the file it was read from.
        numbers: the tokens that its texts use, as the encoder numbers them.
        openings: uint64, memory-mapped.
    """

    states: LoopStates
    sha256: str
    numbers: Sequence[int]
    openings: np.ndarray


def store_tokens(corpus: CorpusFile, encoder: TextEncoder, max_tokens: int, folder: Path) -> StoredCorpus:
    """The tokens of a corpus, from `folder` if they are there, else read from its file and left there.

    Killed and called again, a corpus that was not finished is read again, to the same bytes.

    Raises:
        UserError: the file cannot be read or holds no text, or the folder cannot be written.
    """
    sha256 = corpus.sha256()
    key = hashlib.blake2b(f"{sha256} {encoder.fingerprint} {max_tokens}".encode(), digest_size=16).hexdigest()
    about = folder / "about.json"
    if not about.exists() or seals.read_sealed(about, _AGAIN).get("key") != key:
        make_folder(folder)
        about.unlink(missing_ok=True)
        _write(corpus, encoder, max_tokens, folder, key, sha256)
    told = seals.read_sealed(about, _AGAIN)
    seals.check_files(folder, told.pop("files"), _AGAIN)
    stored = read_as(_About, told, str(about), _AGAIN)
    flat, starts = _mapped(folder / "tokens.bin", _dtype(encoder)), _mapped(folder / "starts.bin", np.dtype("<i8"))
    hashes = np.memmap(folder / "openings.bin", "<u8", "r") if stored["openings"] else np.empty(0, np.uint64)
    return StoredCorpus(LoopStates(encoder, flat, starts, stored["cut"], max_tokens), sha256, stored["numbers"], hashes)


def _write(corpus: CorpusFile, encoder: TextEncoder, max_tokens: int, folder: Path, key: str, sha256: str) -> None:
    texts = tokens = cut = told = 0
    used = np.zeros(encoder.tokenizer.get_vocab_size() + 1, dtype=bool)
    with (
        saving(folder),
        _open(folder, "tokens") as flat,
        _open(folder, "starts") as starts,
        _open(folder, "openings") as hashes,
    ):
        starts.write(np.zeros(1, "<i8").tobytes())
        for group in _groups(read_rows(corpus.path)):
            opened = np.array([number for text in group for number in openings(text)], "<u8")
            told += len(opened)
            hashes.write(opened.tobytes())
            rows, lost = _rows(group, encoder, max_tokens)
            cut, texts = cut + lost, texts + len(rows)
            joined = np.array([number for row in rows for number in row], _dtype(encoder))
            used[joined] = True
            flat.write(joined.tobytes())
            starts.write((tokens + np.cumsum([len(row) for row in rows], dtype="<i8")).tobytes())
            tokens += len(joined)
    if not texts:
        raise UserError(f"{corpus.path} holds no text.")
    numbers = np.flatnonzero(used).tolist()
    said = {"key": key, "sha256": sha256, "texts": texts, "cut": cut, "openings": told, "numbers": numbers}
    files = seals.file_hashes(folder, ("tokens.bin", "starts.bin", "openings.bin"))
    seals.write_sealed(folder / "about.json", {**said, "files": files})


def _rows(texts: Sequence[str], encoder: TextEncoder, max_tokens: int) -> tuple[list[list[int]], int]:
    """Ids of texts, long ones as several, and how many lost their tail."""
    whole, cut = encoder.ids(texts, max_tokens)
    if not cut:
        return whole, 0
    longest, _ = encoder.ids(texts, encoder.positions)
    words = max(1, int((max_tokens - 2) / _TOKENS_PER_WORD))
    rows: list[list[int]] = []
    lost = 0
    for text, row, full in zip(texts, whole, longest, strict=True):
        if len(full) == len(row):
            rows.append(row)
            continue
        parts, more = encoder.ids(pieces([text], words), max_tokens)
        rows += parts
        lost += more
    return rows, lost


def _groups(texts: Iterator[str]) -> Iterator[list[str]]:
    while group := list(islice(texts, _AT_ONCE)):
        yield group


def _dtype(encoder: TextEncoder) -> np.dtype:
    return np.dtype("<i2" if encoder.tokenizer.get_vocab_size() <= _SMALL else "<i4")


def _open(folder: Path, name: str) -> BinaryIO:
    return (folder / f"{name}.bin").open("wb")


def _mapped(path: Path, dtype: np.dtype) -> Tensor:
    try:
        return torch.from_numpy(np.memmap(path, dtype, "c"))  # copy on write: torch wants memory it could write to
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged; delete its folder and run again.") from error
