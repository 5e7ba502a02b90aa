"""A file of texts made elsewhere answers every test document once and no other, or a sentence says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baselines.contract import Document, UserError
from benchmarks.importing import texts_file

DOCUMENTS = [Document(f"d{n}", f"source {n}", f"target {n}", (f"target {n}",)) for n in range(4)]
ROWS: list[dict[str, Any]] = [{"id": f"d{n}", "text": f"text {n}"} for n in range(4)]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        texts_file.answers(path, DOCUMENTS, "echo on lines")
    return str(error.value)


def test_texts_come_in_the_order_of_the_documents(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [*reversed(ROWS[1:]), {"id": "d0", "text": ""}])
    assert texts_file.answers(path, DOCUMENTS, "") == (["", "text 1", "text 2", "text 3"], False)


def test_parquet_is_read_with_and_without_sources(tmp_path: Path) -> None:
    plain, told = tmp_path / "plain.parquet", tmp_path / "told.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), plain)
    pq.write_table(pa.Table.from_pylist([{**row, "source": f"source {n}"} for n, row in enumerate(ROWS)]), told)
    texts = [row["text"] for row in ROWS]
    assert texts_file.answers(plain, DOCUMENTS, "") == (texts, False)
    assert texts_file.answers(told, DOCUMENTS, "") == (texts, True)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "holds no rows"),
        ([{"id": "d0", "answer": "x"}], "has no column text; its columns are id, answer"),
        (ROWS[:3], "has no text for 1 of the 4 test documents of echo on lines (d3)"),
        ([*ROWS, ROWS[1]], "1 id comes more than once (d1)"),
        ([*ROWS, {"id": "x", "text": ""}], "1 id is none of the test documents of echo on lines (x)"),
        ([{"id": "x1", "text": "a"}, {"id": "x2", "text": "b"}], "texts for another test set"),
        ([*ROWS[:3], {"id": "d3", "text": None}], "1 row has no text that is text (rows 3, counted from 0)"),
        ([*ROWS[:3], {"id": "d3", "text": "half \ud800"}], "1 row has no text that is text"),
        ([*ROWS[:3], {"id": None, "text": "a"}], "1 row has no id that is text"),
        (
            [*ROWS[:2], *({**row, "source": "another"} for row in ROWS[2:])],
            "2 ids have another source than the test document of that id of echo on lines (d2, d3)",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(rows: list[dict[str, Any]], said: str, tmp_path: Path) -> None:
    sentence = refused(written(tmp_path / "a.jsonl", rows))
    assert said in sentence and sentence.endswith(".")


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "is no file" in refused(tmp_path / "nowhere.jsonl")
    (tmp_path / "a.jsonl").write_text('{"id": "d0", "text": "x"}\n{"id"')
    assert "Line 2" in refused(tmp_path / "a.jsonl")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert "cannot be read as Parquet" in refused(tmp_path / "a.parquet")


def test_requests_hold_what_is_asked_and_no_answers(tmp_path: Path) -> None:
    texts_file.write_requests(tmp_path / "asked.jsonl", DOCUMENTS)
    rows = [json.loads(line) for line in (tmp_path / "asked.jsonl").read_text().splitlines()]
    assert rows == [{"id": d.id, "source": d.source} for d in DOCUMENTS]
    answered = written(tmp_path / "a.jsonl", [{**row, "text": "x"} for row in rows])
    assert texts_file.answers(answered, DOCUMENTS, "") == (["x"] * 4, True)
