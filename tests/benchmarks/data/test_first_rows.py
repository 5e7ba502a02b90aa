"""Of a large table as much is read as is asked for, and it is what reading everything and sorting would give."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baselines.contract import Document, UserError
from benchmarks.data import first_rows, rows
from benchmarks.data.local import Local, LocalOptions

ROWS, GROUP = 400, 20
Rows = list[dict[str, Any]]


def pairs(split: str, count: int) -> Rows:
    return [{"id": f"{split}-é{i}", "source": f"ask {split} {i}", "target": f"say {i}"} for i in range(count)]


def write_lines(path: Path, found: Rows) -> None:
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")


def write_parquet(path: Path, found: Rows) -> None:
    pq.write_table(pa.Table.from_pylist(found), path.with_suffix(".parquet"), row_group_size=GROUP)


WRITERS = pytest.mark.parametrize("writer", [write_lines, write_parquet], ids=["lines", "parquet"])
Writer = Callable[[Path, Rows], None]


def made(folder: Path, writer: Writer, change: Callable[[dict[str, Rows]], object] = lambda found: None) -> Path:
    """A set called "mine" with many more rows for training than for anything else."""
    found = {"train": pairs("train", ROWS), "validation": pairs("validation", 30), "test": pairs("test", 40)}
    change(found)
    (folder / "mine").mkdir()
    for split, those in found.items():
        writer(folder / "mine" / split, those)
    return folder


def local(folder: Path, **options: Any) -> Local:
    return Local(LocalOptions(folder=str(folder), name="mine", **options))


def in_order(split: str = "train", of: int = ROWS) -> list[int]:
    """Which row comes first by the hash of its id, which second ..."""
    return sorted(range(of), key=lambda place: hashlib.sha256(f"{split}-é{place}".encode()).digest())


@WRITERS
def test_the_first_documents_are_those_of_reading_everything(tmp_path: Path, writer: Writer) -> None:
    folder = made(tmp_path, writer)
    everything = local(folder)
    few = local(folder, train=9, validation=4)
    assert few.load("detox", "test", 5) == everything.load("detox", "test")[:5]
    assert few.load("detox", "train") == everything.load("detox", "train")[:9]
    assert few.load("detox", "validation") == everything.load("detox", "validation")[:4]
    assert few.content("detox") == everything.content("detox")
    assert few.load("detox", "test") == everything.load("detox", "test"), "more is read where more is asked"
    assert few.load("detox", "test", 0) == []


@pytest.mark.parametrize("values", [["b", "é", "a", "\U0001f600"], [3, 10, 2**40, -1, 0]], ids=["texts", "numbers"])
def test_the_order_is_that_of_documents(values: Sequence[Any]) -> None:
    documents = [Document(str(value), None, "t", ("t",)) for value in values]
    assert [str(value) for value in sorted(values, key=first_rows.key_of)] == [d.id for d in rows.in_order(documents)]


def test_of_parquet_only_ids_and_the_row_groups_asked_for_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked, taken = made(tmp_path, write_parquet), [], []
    real, read, documents = pq.ParquetFile.iter_batches, pq.ParquetFile.read, rows.documents

    def iter_batches(file: Any, size: int, row_groups: Any = None, columns: Any = None) -> Any:
        asked.append((file.metadata.num_rows, row_groups, columns))
        return real(file, size, row_groups=row_groups, columns=columns)

    def whole(file: Any, columns: Any) -> Any:
        assert file.metadata.num_rows < ROWS
        return read(file, columns)

    def seen(columns: rows.Columns, *words: Any) -> list[Document]:
        taken.append(len(columns["id"]))
        return documents(columns, *words)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    monkeypatch.setattr(pq.ParquetFile, "read", whole)
    monkeypatch.setattr(rows, "documents", seen)
    assert len(local(folder, train=6).load("detox", "test", 3)) == 3
    assert taken == [6, 30, 3], "so many documents are made of train, validation and test"
    groups = sorted({place // GROUP for place in in_order()[:6]})
    train = [words for count, *words in asked if count == ROWS]
    assert train == [[None, ["id"]], *([[group], ["id", "source", "target"]] for group in groups)]
    assert len(groups) < ROWS / GROUP / 2


def test_of_lines_only_those_asked_for_are_held(tmp_path: Path) -> None:
    found = [{"id": str(i), "text": f"{i} " + "word " * 200} for i in range(2000)]
    (tmp_path / "mine").mkdir()
    write_lines(tmp_path / "mine" / "test", found)
    size = (tmp_path / "mine" / "test.jsonl").stat().st_size
    source = local(tmp_path, test=10)
    tracemalloc.start()
    try:
        assert len(source.load("story", "test")) == 10
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{most} of {size} bytes at most")
    assert most < size / 10


def spoil_targets(found: dict[str, Rows]) -> None:
    for place in (in_order()[5], in_order()[200]):
        found["train"][place]["target"] = " "


def share_a_text(found: dict[str, Rows]) -> None:
    found["test"][7]["source"] = found["train"][in_order()[5]]["source"]


@WRITERS
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoil_targets, rf"In .*train.* 2 rows of {ROWS} have no text in column target \(rows {{}}, {{}}, counted"),
        (share_a_text, r"In .*mine 1 text of test is in train too \(ids in test: test-é7\)"),
    ],
)
def test_what_is_asked_is_checked_and_the_rest_is_not(tmp_path: Path, writer: Writer, change: Any, said: str) -> None:
    """The sixth row is bad. What is refused is counted over the whole file, by the numbers of its rows."""
    folder = made(tmp_path, writer, change)
    assert len(local(folder, train=5).load("detox", "test")) == 40
    assert len(local(folder, train=5).load("detox", "train")) == 5
    bad = sorted((in_order()[5], in_order()[200]))
    for split in ("train", "test"):
        with pytest.raises(UserError, match=said.format(*bad)):
            local(folder, train=6).load("detox", split)


@WRITERS
def test_an_id_that_is_none_is_refused_whoever_asks(tmp_path: Path, writer: Writer) -> None:
    def without(found: dict[str, Rows]) -> None:
        found["train"][17]["id"] = None

    folder = made(tmp_path, writer, without)
    with pytest.raises(UserError, match=rf"1 row of {ROWS} has no text in column id \(rows 17,"):
        local(folder, train=2).load("detox", "test", 1)


def test_more_than_there_are_is_refused_by_the_number_of_rows(tmp_path: Path) -> None:
    folder = made(tmp_path, write_parquet)
    with pytest.raises(UserError, match=r"data\.test asks for 41 documents where there are 40 documents"):
        local(folder, test=41, train=3).load("detox", "test", 2)
    assert len(local(folder, test=40, train=3).load("detox", "test", 2)) == 2


def test_passages_are_read_until_enough_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with held-out texts in them are left out, and others looked at in their place."""
    folder = made(tmp_path, write_parquet)
    (tmp_path / "wiki").mkdir()
    found = [{"id": f"wiki-é{i}", "text": f"A passage, number {i}."} for i in range(200)]
    for place in in_order("wiki", 200)[:4]:
        found[place]["text"] = "It begins. Ask test 3 of the day."
    write_parquet(tmp_path / "wiki" / "train", found)
    held = pq.read_table(folder / "mine" / "test.parquet").to_pylist()
    held[3]["source"] = "ask test 3 of the day."
    write_parquet(folder / "mine" / "test", held)
    everything = local(folder, passages="wiki").passages("detox")
    few = local(folder, passages="wiki", passage_count=5)
    assert few.passages("detox") == everything[:5]
    content = few.content("detox")["passages"]
    assert (content["rows"], content["left_out"]) == (5, 4)
