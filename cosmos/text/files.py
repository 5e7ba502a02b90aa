"""Texts from a file: plain text, JSON lines or Parquet, with a column `text`, or columns `source` and `target`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cosmos.io.errors import UserError
from cosmos.io.parquet import check_names, values_of
from cosmos.io.typed_json import is_whole_text, parse_object

_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[A-Z0-9\"'(])")


class Texts(NamedTuple):
    """Targets, and as many sources or None."""

    targets: Sequence[str]
    sources: Sequence[str] | None


def read_texts(path: Path) -> Texts:
    """The texts of a file, in order; empty lines of a plain file are skipped.

    `.txt`: one text per line. `.jsonl`: one object per line. `.parquet`: one row per text. The last two have the column
    `target` and, where texts are conditional, `source`; or the column `text`.

    Raises:
        UserError: missing or unreadable, of another kind, or without these columns.
    """
    readers = {".txt": _plain, ".jsonl": _json_lines, ".parquet": _parquet}
    if path.suffix not in readers:
        raise UserError(f"Cannot tell what {path} holds; give a .txt, .jsonl or .parquet file.")
    try:
        texts = readers[path.suffix](path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path} ({getattr(error, 'strerror', None) or error}).") from error
    if not texts.targets:
        raise UserError(f"{path} holds no text.")
    return texts


def read_sources(path: Path) -> Sequence[str]:
    """The texts to condition on: the column `source`, else `text`, else the lines of a plain file."""
    texts = read_texts(path)
    return texts.targets if texts.sources is None else texts.sources


def pieces(passages: Iterable[str], words: int) -> list[str]:
    """Passages cut into runs of whole sentences of at most so many words; a longer sentence is a piece by itself."""
    pieces: list[str] = []
    for passage in passages:
        run: list[str] = []
        for sentence in _SENTENCE_END.split(passage.strip()):
            count = len(sentence.split())
            if run and sum(len(part.split()) for part in run) + count > words:
                pieces.append(" ".join(run))
                run = []
            run.append(sentence)
        pieces.append(" ".join(run))
    return [piece for piece in pieces if piece]


def _plain(path: Path) -> Texts:
    return Texts([line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()], None)


def _json_lines(path: Path) -> Texts:
    def rows() -> Iterable[Mapping[str, Any]]:
        # Not `splitlines`: JSON strings may hold what Unicode calls a line's end.
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
            if line.strip():
                yield parse_object(line, f"Line {number} of {path}")

    return _columns(path, rows())


def _parquet(path: Path) -> Texts:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_names(names, path)
            table = file.read([name for name in names if name in ("text", "source", "target")])
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} is not a Parquet file, or it is damaged.") from error
    columns = {name: values_of(table.column(name), name, path) for name in table.column_names}
    return _columns(path, (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)))


def parquet_column(path: Path, names: Sequence[str], rows: int) -> Iterator[str]:
    """The values of the first of the named columns that a Parquet file has, so many rows in memory at once.

    Raises:
        UserError: it has none of them, or is damaged.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            check_names(there, path)
            wanted = [name for name in names if name in there][:1]
            if not wanted:
                raise UserError(
                    f"{path} has none of the columns {', '.join(names)}; its columns are {', '.join(there)}."
                )
            for batch in file.iter_batches(rows, columns=wanted):
                yield from values_of(batch.column(0), wanted[0], path)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path} is not a Parquet file, or it is damaged.") from error


def _columns(path: Path, rows: Iterable[Mapping[str, Any]]) -> Texts:
    """Texts of rows, which all have the same columns."""
    targets: list[str] = []
    sources: list[str] = []
    for number, row in enumerate(rows, 1):
        target = row.get("target", row.get("text"))
        if not isinstance(target, str) or not isinstance(row.get("source", ""), str):
            raise UserError(f"Row {number} of {path} needs a string 'text', or strings 'source' and 'target'.")
        if not is_whole_text(target) or not is_whole_text(row.get("source", "")):
            raise UserError(f"Row {number} of {path} holds half of a surrogate pair; write the file anew.")
        targets.append(target)
        if "source" in row:
            sources.append(row["source"])
    if sources and len(sources) != len(targets):
        raise UserError(f"{path} has a 'source' in some rows only; give one in all or in none.")
    return Texts(targets, sources or None)
