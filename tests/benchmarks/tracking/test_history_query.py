"""Questions in SQL change nothing and read nothing else; exports hold what the views do."""

from __future__ import annotations

import re
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest

from baselines.contract import UserError
from benchmarks.cli.main import main
from benchmarks.tracking.history import analysis, query, tables

sys.path.insert(0, str(Path(__file__).parent))
from history_trees import commit_of, record

DOCS = Path(__file__).parents[3] / "docs/tracking.md"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(3):
        record(
            tmp_path / f"tree/run{number}", commit=commit_of(number), day=number, seed=number,
            scores={"exact_j": number / 4, "bleu": None}, seconds=[1.0, 2.0],
        )  # fmt: skip
    return tmp_path / "tree"


def answer(tree: Path, sql: str) -> list[tuple[object, ...]]:
    base = tables.connected()
    query.opened(base, tree, sql)
    return [tuple(row.values()) for row in query.asked(base, sql).to_pylist()]


def test_every_view_answers(tree: Path) -> None:
    assert answer(tree, "SELECT seed, value, signature, device FROM scores WHERE metric = 'exact_j' ORDER BY seed") == [
        (n, n / 4, "exact_j|v1|world grammar 1|form:round trip 1", "Abacus 9") for n in range(3)
    ]
    assert answer(tree, "SELECT count(*), sum(texts), sum(seconds) FROM timings WHERE kind = 'batch'") == [(6, 12, 9.0)]
    assert answer(tree, "FROM Samples SELECT document, text, tokens LIMIT 1") == [("t0", "a", 1)]
    assert answer(tree, "SELECT count(*) FROM training") == [(0,)]
    assert answer(tree, "SELECT count(*) FROM micro") == [(0,)]
    assert answer(tree, "SELECT reason FROM scores WHERE value IS NULL LIMIT 1") == [("not run",)]


def test_the_columns_are_those_that_are_documented(tree: Path) -> None:
    section = DOCS.read_text().partition("## History")[2].partition("\n## ")[0]
    said = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))
    assert set(said) == set(query.VIEWS)
    for view in query.VIEWS:
        base = tables.connected()
        query.opened(base, tree, view)
        names = query.asked(base, f"SELECT * FROM {view}").column_names
        assert said[view].strip() == ", ".join(names)
        assert re.sub(r"\s+", " ", query.__doc__ or "").count(f"{view} {', '.join(names)}") == 1


@pytest.mark.parametrize(
    "sql",
    [
        "COPY scores TO '{}'", "CREATE TABLE a AS SELECT 1", "DROP VIEW scores", "SELECT 1; SELECT 2", "",
        "SET threads=1",
        "ATTACH '{}' AS other", "DELETE FROM score_lines", "INSTALL httpfs", "PRAGMA version", "SELEC 1",
        "SELECT * FROM nowhere", "SELECT * FROM read_text('{}')", "SELECT * FROM '{}'", "SELECT * FROM glob('/*')",
        "SELECT * FROM read_csv('{}')", "SELECT * FROM tables",
    ],
)  # fmt: skip
def test_a_query_changes_nothing_and_reads_no_other_file(tree: Path, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as refused:
        answer(tree, sql.format(secret))
    assert "\n" not in str(refused.value) and "scores, timings, samples" in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before and secret.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_exports_hold_the_scores(tree: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / f"out/history{ending}"
    assert main(["history", str(tree), "--export", str(file)]) == 0
    assert "6 rows" in capsys.readouterr().out
    frame = pd.read_csv(file) if ending == ".csv" else pd.read_parquet(file)
    assert frame.value.dropna().tolist() == [0.0, 0.25, 0.5]
    assert list(frame.columns[:14]) == [
        "task", "source", "system", "preset", "setting", "seed", "metric", "value", "low", "high", "n", "signature",
        "commit", "device",
    ]  # fmt: skip


def test_the_answer_is_a_table_on_the_terminal(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT seed, value AS \"a|b\", NULL AS none FROM scores WHERE metric = 'exact_j' ORDER BY seed LIMIT 1"
    assert main(["history", str(tree), "--sql", sql]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "seed  a|b  none",
        "   0    0",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--export", "a.xlsx"], ".parquet"),
        (["--sql", "SELECT 1", "--metric", "exact_j"], "--metric has no effect"),
        (["--metric", "exactj"], "exact_j"),
        (["--sql", "SELECT [1] AS a", "--export", "a.csv"], "a.csv"),
        (["--sql", "SELECT nothing FROM scores"], "nothing"),
        (["--frm"], "--"),
    ],
)
def test_mistakes_are_one_sentence(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    words: list[str], sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["history", str(tree), *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.splitlines()) == 1
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("folder", ["nowhere", "with\0null", "~nobody-of-that-name/runs"])
def test_a_folder_that_is_none_is_one_sentence(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", folder]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_packed_is_named_by_where_the_archive_lies(tmp_path: Path) -> None:
    """Not by the cache, in which it lies unpacked: in answers to SQL, points, commands and notes."""
    for number in range(20):
        value = 0.5 if number < 10 else 0.1
        record(tmp_path / f"made/run{number:02d}", commit=commit_of(number), day=number, scores={"exact_j": value})
    damaged = record(tmp_path / "made/run99", commit=commit_of(99), day=99, scores={"exact_j": 0.1})
    (damaged / "header.json").write_text("{")
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed/records.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "made", arcname=".")
    base = tables.connected()
    sql = "SELECT run FROM scores ORDER BY run"
    [note] = query.opened(base, tmp_path / "packed", sql)
    assert query.asked(base, sql).column("run").to_pylist() == [
        f"{tmp_path / 'packed'}/run{number:02d}" for number in range(20)
    ]
    assert note.startswith(f"{tmp_path / 'packed'}/records.tar.xz/run99/cells/") and "damaged and left out" in note
    found = analysis.history(tables.connected(), tmp_path / "packed")
    [(series, change)] = found.changed
    assert series.points[0].run == f"{tmp_path / 'packed'}/run00" and note in found.notes
    assert f"--against {tmp_path / 'packed'} " in change.bisect[1]


@pytest.mark.parametrize("view", query.VIEWS)
def test_only_files_of_what_is_asked_for_are_read(tree: Path, view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a view is the same whether another is asked for beside it or not."""
    read: list[str] = []
    known = tables._read

    def noted(base: object, table: str, paths: list[str], **how: bool) -> None:
        read.extend(Path(path).name for path in paths)
        known(base, table, paths, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "_read", noted)
    alone, beside = tables.connected(), tables.connected()
    query.opened(alone, tree, f"select * from {view.upper()}")
    files = {"scores": "scores.jsonl", "timings": "timings.jsonl", "samples": "samples.jsonl"}
    assert {name for name in read if name.endswith(".jsonl")} == {files[view] for _ in range(view in files)}
    query.opened(beside, tree, " ".join(query.VIEWS))
    answers = [base.sql(f"select * from {view}").fetchall() for base in (alone, beside)]
    assert answers[0] == answers[1]


def test_files_that_are_dealt_to_threads_have_the_rows_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        record(
            tmp_path / f"run{number}",
            commit=commit_of(number),
            day=number,
            seconds=[1.0, 2.0],
            scores={"exact_j": number / 7},
        )

    def rows(names: tuple[str, ...] = ("score_lines", "timing_lines")) -> list[list[tuple]]:
        base = tables.connected()
        analysis.read(base, tmp_path)
        return [sorted(base.sql(f"select number, j::varchar from {name}").fetchall()) for name in names]

    whole = rows()
    monkeypatch.setattr(tables, "_FILES_EACH", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert rows() == whole and all(whole)
