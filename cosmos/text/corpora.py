"""Corpora that are read row by row, so that memory does not grow with them: which, and how much of each is seen.

A corpus is a file as `cosmos.text.files` reads them; of rows with a source, the target counts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmos.io.errors import UserError
from cosmos.io.typed_json import is_whole_text, parse_object
from cosmos.text.files import parquet_column

MOST_CORPORA = 64
_ROWS = 4096  # of a Parquet file, at once
_LEAST, _MOST = 1e-3, 1e3  # weights


@dataclass(frozen=True)
class CorpusFile:
    """A file of texts, and how often each of them is seen for every time that a text of weight 1 is."""

    path: Path
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not _LEAST <= self.weight <= _MOST:
            raise UserError(f"The weight of {self.path} must lie between {_LEAST:g} and {_MOST:g}.")

    @classmethod
    def parse(cls, text: str) -> CorpusFile:
        """Read `PATH` or `PATH=WEIGHT`, such as wikipedia.parquet=0.5."""
        path, equals, weight = text.rpartition("=")
        if not equals or Path(text).exists():
            return cls(Path(text))
        try:
            number = float(weight)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"Cannot read the weight of '{text}'; write PATH or PATH=WEIGHT, such as wiki.parquet=0.5.")
        return cls(Path(path), number)

    @property
    def name(self) -> str:
        """The file's name with that of its folder, as records tell it."""
        return "/".join(self.path.absolute().parts[-2:])

    def sha256(self) -> str:
        """Of the file; `UserError` where it cannot be read."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"Cannot read {self.path} ({error.strerror or error}).") from error


def check_corpora(corpora: list[CorpusFile]) -> None:
    """Raise `UserError` unless there are some corpora, each once, of a kind that can be read and with a text."""
    if not 1 <= len(corpora) <= MOST_CORPORA:
        raise UserError(f"Name between 1 and {MOST_CORPORA} corpora, not {len(corpora)}.")
    paths = [corpus.path.absolute() for corpus in corpora]
    for corpus in corpora:
        if corpus.path.suffix not in _READERS:
            raise UserError(f"Cannot tell what {corpus.path} holds; give a .txt, .jsonl or .parquet file.")
        if not corpus.path.is_file():
            raise UserError(f"There is no file {corpus.path}; name a .txt, .jsonl or .parquet file.")
        if paths.count(corpus.path.absolute()) > 1:
            raise UserError(f"{corpus.path} is named twice; give it a weight instead, such as {corpus.path}=2.")
        if next(iter(read_rows(corpus.path)), None) is None:
            raise UserError(f"{corpus.path} holds no text.")


def read_rows(path: Path) -> Iterator[str]:
    """The texts of a file one after the other; empty ones are skipped.

    Raises:
        UserError: it cannot be read, or a row has no text.
    """
    try:
        for text in _READERS[path.suffix](path):
            if text.strip():
                yield text.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path} ({getattr(error, 'strerror', None) or error}).") from error


def _plain(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig") as file:
        yield from file


def _json_lines(path: Path) -> Iterator[str]:
    # JSON strings may hold what Unicode calls a line's end, so lines end with \n alone.
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _text_of(parse_object(line, f"Line {number} of {path}"), number, path)


def _parquet(path: Path) -> Iterator[str]:
    for number, text in enumerate(parquet_column(path, ("target", "text"), _ROWS), 1):
        yield _text_of({"text": text}, number, path)


def _text_of(row: Mapping[str, Any], number: int, path: Path) -> str:
    text = row.get("target", row.get("text"))
    if not isinstance(text, str):
        raise UserError(f"Row {number} of {path} needs a string 'text', or strings 'source' and 'target'.")
    if not is_whole_text(text):
        raise UserError(f"Row {number} of {path} holds half of a surrogate pair; write the file anew.")
    return text


_READERS = {".txt": _plain, ".jsonl": _json_lines, ".parquet": _parquet}
