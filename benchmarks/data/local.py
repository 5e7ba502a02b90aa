"""The source `local`: a folder of data sets, each a folder of Parquet or JSON-lines files, one for each split.

A file is called train, validation or test, with the ending .parquet or .jsonl, and has the columns `id` and `text`, or
`id`, `source`, `target` and, if there are several good answers, `references`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from baselines.contract import Document, UserError, unknown
from benchmarks import tasks
from benchmarks.data import first_rows, rows
from benchmarks.data.source import SPLITS, Split
from cosmos.io.files import expanded
from cosmos.io.parquet import check_names, values_of
from cosmos.io.seals import read_hash
from cosmos.io.typed_json import parse_object

FOLDER_VARIABLE = "COSMOS_DATA"
DEFAULT_NAMES = {
    "story": "rocstories",
    "question": "squad_qg",
    "summary": "summarization_wikilead",
    "detox": "paradetox",
}
_ENDINGS = (".parquet", ".jsonl")


@dataclass(frozen=True)
class LocalOptions:
    """Which set, and how much of it.

    Attributes:
        folder: the folder that holds the sets; the environment variable COSMOS_DATA where it is empty.
        name: the set; where it is empty, the usual one of the task.
        test_name: the set whose test split is used, if it is another one.
        train, validation, test: how many documents of each split, 0 for all; chosen by a hash of their ids. No others
            are read or checked.
        passages: the set with a column `text` whose train split the first stage of Cosmos learns from besides the
            task's own texts; none where it is empty. Those with held-out texts of the task in them are left out.
        passage_count: how many of those, 0 for all; chosen in the same way.
    """

    folder: str = ""
    name: str = ""
    test_name: str = ""
    train: int = 0
    validation: int = 0
    test: int = 0
    passages: str = ""
    passage_count: int = 0

    def __post_init__(self) -> None:
        for count in (*SPLITS, "passage_count"):
            if getattr(self, count) < 0:
                raise UserError(f"data.{count} must be 0 (all) or more, not {getattr(self, count)}.")
        if self.passage_count and not self.passages:
            raise UserError("data.passage_count is of no use without data.passages; name a set, or leave it out.")


class Local:
    """Documents read from files of this machine."""

    Options: ClassVar[type[LocalOptions]] = LocalOptions
    version: ClassVar[str] = "1"

    def __init__(self, options: LocalOptions) -> None:
        self.options = options
        self._splits: dict[str, dict[Split, _Split]] = {}  # by task, as far as they were asked for
        self._passages = cache(self._read_passages)

    def load(self, task: str, split: Split, limit: int | None = None) -> Sequence[Document]:
        """The first `limit` (or all) documents of a split, in the order of a hash of their ids.

        All splits of the set are checked, whichever is asked for, in the documents that are asked for: of this one
        up to `limit`, of the others as many as the options say.

        Raises:
            UserError: the set or the split is not there, or its files cannot be used.
        """
        splits = self._read(task, split, limit)
        if split not in splits:
            raise UserError(_lacking(self._name(task, split), split, list(splits)))
        asked, found = getattr(self.options, split), splits[split]
        rows.check_count(asked, found.rows, f"data.{split}")
        return found.documents[: _least(asked or None, limit)]

    def passages(self, task: str) -> Sequence[str]:
        """The passages that the options name, in the order of a hash of their ids.

        Raises:
            UserError: the set is not there, cannot be read, or is for evaluation only.
        """
        return [passage.target for passage in self._passages(task)[0]]

    def content(self, task: str) -> dict[str, Any]:
        """What was read, for the record: names, and the SHA-256 and number of rows of each file."""
        others = {}
        if self.options.passages:
            passages, left_out = self._passages(task)
            others["passages"] = {
                "set": self.options.passages,
                "sha256": read_hash(self._passage_file()),
                "rows": len(passages),
                "left_out": left_out,
            }
        return {
            **others,
            "sets": sorted({self._name(task, split) for split in SPLITS}),
            "files": {
                split.path.name: {"sha256": read_hash(split.path), "rows": split.rows}
                for split in self._read(task).values()
            },
        }

    def named_files(self, task: str) -> dict[str, list[Path]]:
        """The files of the folder that the options name; none where the environment does."""
        if not self.options.folder:
            return {}
        files = [self._file(task, split) for split in SPLITS]
        files += [self._passage_file()] if self.options.passages else []
        return {"folder": [path for path in files if path is not None]}

    @cached_property
    def folder(self) -> Path:
        """The folder of all sets."""
        named = self.options.folder or os.environ.get(FOLDER_VARIABLE, "")
        if not named:
            raise UserError(
                "The source local needs a folder of data sets; "
                f"name it with --set data.folder=FOLDER or the environment variable {FOLDER_VARIABLE}."
            )
        folder = expanded(named)
        if not folder.is_dir():
            raise UserError(f"The folder of data sets {folder} does not exist; choose another with data.folder.")
        if any((folder / f"{split}{ending}").exists() for split in SPLITS for ending in _ENDINGS):
            raise UserError(
                f"{folder} is a data set and no folder of data sets; say --set data.folder={folder.resolve().parent} "
                f"--set data.name={folder.resolve().name}."
            )
        return folder

    def _name(self, task: str, split: str) -> str:
        """The set that a split comes from."""
        name = self.options.name or DEFAULT_NAMES.get(task, "")
        if split == "test" and self.options.test_name:
            name = self.options.test_name
        if not name:
            raise UserError(f"The task {task} has no usual data set; name one with --set data.name=NAME.")
        return name

    def _file(self, task: str, split: str) -> Path | None:
        """The file of a split, None if there is none."""
        return self._file_in(self._name(task, split), split)

    def _file_in(self, name: str, split: str) -> Path | None:
        folder = self.folder / name
        if not folder.is_dir():
            folders = (path.name for path in self.folder.iterdir() if path.is_dir())
            raise unknown(f"data set in {self.folder}", name, folders)
        files = [path for ending in _ENDINGS if (path := folder / f"{split}{ending}").is_file()]
        if len(files) > 1:
            raise UserError(f"{folder} has {' and '.join(path.name for path in files)}; keep one of them.")
        return files[0] if files else None

    def _read(self, task: str, split: Split | None = None, limit: int | None = None) -> dict[Split, _Split]:
        """All splits that are there, each with the documents asked for at least; more is read where more is asked."""
        conditional, before = tasks.find(task).conditional, self._splits.get(task, {})
        splits: dict[Split, _Split] = {}
        for name in SPLITS:
            path = self._file(task, name)
            if path is None:
                continue
            count = _least(getattr(self.options, name) or None, limit if name == split else None)
            held = before.get(name)
            enough = held is not None and (name != split or held.holds(count))
            splits[name] = held if held is not None and enough else _read_split(path, conditional, count)
        if splits != before:
            where = " and ".join(sorted({str(found.path.parent) for found in splits.values()}))
            rows.check_apart({name: found.documents for name, found in splits.items()}, where)
            self._splits[task] = splits
        return splits

    def _passage_file(self) -> Path:
        path = self._file_in(self.options.passages, "train")
        if path is None:
            splits = [split for split in SPLITS if self._file_in(self.options.passages, split) is not None]
            raise UserError(_lacking(self.options.passages, "train", splits, "data.passages"))
        return path

    def _read_passages(self, task: str) -> tuple[Sequence[Document], int]:
        """The passages, and how many of the set are left out for what is in them."""
        if not self.options.passages:
            return (), 0
        path, asked = self._passage_file(), self.options.passage_count
        splits = self._read(task)
        held_out = [one for name in ("validation", "test") if name in splits for one in splits[name].documents]
        count = asked or None
        while True:
            found = _read_split(path, False, count)
            unseen = rows.unseen(found.documents, held_out)
            if count is None or len(unseen) >= count or len(found.documents) == found.rows:
                break
            count = 2 * count  # some were left out, so some more are looked at
        return rows.first(unseen, asked, None, "data.passage_count"), len(found.documents) - len(unseen)


@dataclass(frozen=True)
class _Split:
    """What was read of a file: so many documents, in the order of a hash of their ids, of so many rows."""

    path: Path
    documents: list[Document]
    rows: int

    def holds(self, count: int | None) -> bool:
        """Whether so many documents were read, all of them if None."""
        return len(self.documents) == self.rows or (count is not None and len(self.documents) >= count)


def _read_split(path: Path, conditional: bool, count: int | None) -> _Split:
    """The first `count` documents of a file, all if None.

    Raises:
        UserError: the file cannot be read, or what is asked for cannot be used; what is wrong is counted over the
            whole file.
    """
    needed = rows.needed(conditional)
    columns, total = read_columns(path, needed, count)
    try:
        documents = rows.documents(columns, conditional, str(path))
    except UserError:
        if count is not None:
            rows.documents(read_columns(path, needed)[0], conditional, str(path))
        raise
    return _Split(path, rows.in_order(documents), total)


def _least(*counts: int | None) -> int | None:
    """The least of some counts, of which None is all."""
    return min((count for count in counts if count is not None), default=None)


def read_columns(path: Path, columns: Sequence[str], count: int | None = None) -> tuple[rows.Columns, int]:
    """The columns of a Parquet or JSON-lines file, and how many rows the file has.

    Args:
        columns: those wanted; `references` is read besides where it is there. If one is missing, all names come with no
            values.
        count: how many rows, the first in the order of a hash of their ids; all of them if None.

    Raises:
        UserError: the file cannot be read.
    """
    return _read_parquet(path, columns, count) if path.suffix == ".parquet" else _read_lines(path, count)


def _read_parquet(path: Path, columns: Sequence[str], count: int | None) -> tuple[rows.Columns, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_names(names, path)
            if not set(columns) <= set(names):
                return dict.fromkeys(names, ()), 0
            wanted = [name for name in names if name in (*columns, "references")]
            table, total = first_rows.from_parquet(file, wanted, count), int(file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"{path} cannot be read as Parquet, it may be truncated ({reason}); put a whole copy in its place."
        ) from error
    return {name: values_of(table.column(name), name, path) for name in table.column_names}, total


def _read_lines(path: Path, count: int | None) -> tuple[rows.Columns, int]:
    records, total = first_rows.from_records(_records(path), count)
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}, total


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, one by one."""
    try:
        # Not `splitlines`, and no other line's end: JSON strings may hold what Unicode calls one.
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield parse_object(line, f"Line {number} of {path}")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text ({error}).") from error


def _lacking(name: str, split: str, splits: Sequence[str], option: str = "data.name") -> str:
    if splits == ["test"] and option != "data.name":
        return f"The set {name} has no {split} split: it is for evaluation only; choose another with {option}=NAME."
    if splits == ["test"]:
        return (
            f"The set {name} has no {split} split: it is for evaluation only; train on another with data.name=NAME and "
            f"evaluate on this one with data.test_name={name}."
        )
    has = " and ".join(splits) or "no split at all"
    return (
        f"The set {name} has no {split} split, it has {has}; add {split}.parquet or {split}.jsonl, or choose another."
    )
