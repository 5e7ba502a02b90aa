"""The source `local`: a folder of data sets, each a folder of Parquet or JSON-lines files, one for each split.

A file is called train, validation or test, with the ending .parquet or .jsonl, and has the columns `id` and `text`, or
`id`, `source`, `target` and, if there are several good answers, `references`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar

from baselines.contract import Document, UserError, unknown
from benchmarks import tasks
from benchmarks.data import rows
from benchmarks.data.source import SPLITS, Split
from cosmos.io.files import expanded
from cosmos.io.parquet import check_names, values_of
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
        train, validation, test: how many documents of each split, 0 for all; chosen by a hash of their ids.
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
        self._splits = cache(self._read_all)
        self._passages = cache(self._read_passages)

    def load(self, task: str, split: Split, limit: int | None = None) -> Sequence[Document]:
        """The first `limit` (or all) documents of a split, in the order of a hash of their ids.

        All splits of the set are read and checked, whichever is asked for.

        Raises:
            UserError: the set or the split is not there, or its files cannot be used.
        """
        splits = self._splits(task)
        if split not in splits:
            raise UserError(_lacking(self._name(task, split), split, list(splits)))
        return rows.first(splits[split], getattr(self.options, split), limit, f"data.{split}")

    def passages(self, task: str) -> Sequence[str]:
        """The passages that the options name, in the order of a hash of their ids.

        Raises:
            UserError: the set is not there, cannot be read, or is for evaluation only.
        """
        return [passage.target for passage in self._passages(task)[0]]

    def content(self, task: str) -> dict[str, Any]:
        """What was read, for the record: names, and the SHA-256 and number of rows of each file."""
        files = {split: self._file(task, split) for split in SPLITS}
        others = {}
        if self.options.passages:
            passages, left_out = self._passages(task)
            others["passages"] = {
                "set": self.options.passages,
                "sha256": hashlib.sha256(self._passage_file().read_bytes()).hexdigest(),
                "rows": len(passages),
                "left_out": left_out,
            }
        return {
            **others,
            "sets": sorted({self._name(task, split) for split in SPLITS}),
            "files": {
                path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "rows": len(self._splits(task)[s])}
                for s, path in files.items()
                if path is not None
            },
        }

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

    def _read_all(self, task: str) -> dict[str, list[Document]]:
        conditional = tasks.find(task).conditional
        files = {split: path for split in SPLITS if (path := self._file(task, split)) is not None}
        splits = {
            split: rows.documents(read_columns(path, rows.needed(conditional)), conditional, str(path))
            for split, path in files.items()
        }
        rows.check_apart(dict(splits), " and ".join(sorted({str(path.parent) for path in files.values()})))
        return {split: rows.in_order(documents) for split, documents in splits.items()}

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
        path = self._passage_file()
        documents = rows.documents(read_columns(path, rows.needed(False)), False, str(path))
        splits = self._splits(task)
        unseen = rows.unseen(documents, [one for name in ("validation", "test") for one in splits.get(name, ())])
        asked = rows.first(rows.in_order(unseen), self.options.passage_count, None, "data.passage_count")
        return asked, len(documents) - len(unseen)


def read_columns(path: Path, columns: Sequence[str]) -> rows.Columns:
    """The columns of a Parquet or JSON-lines file: those wanted and `references`, as far as they are there; all names
    with no values if one that is wanted is not.

    Raises:
        UserError: the file cannot be read.
    """
    return _read_parquet(path, columns) if path.suffix == ".parquet" else _read_lines(path)


def _read_parquet(path: Path, columns: Sequence[str]) -> rows.Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_names(names, path)
            if not set(columns) <= set(names):
                return dict.fromkeys(names, ())
            table = file.read([name for name in names if name in (*columns, "references")])
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"{path} cannot be read as Parquet, it may be truncated ({reason}); put a whole copy in its place."
        ) from error
    return {name: values_of(table.column(name), name, path) for name in table.column_names}


def _read_lines(path: Path) -> rows.Columns:
    records: list[dict[str, Any]] = []
    try:
        # Not `splitlines`: JSON strings may hold what Unicode calls a line's end.
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
            if not line.strip():
                continue
            records.append(parse_object(line, f"Line {number} of {path}"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text ({error}).") from error
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


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
