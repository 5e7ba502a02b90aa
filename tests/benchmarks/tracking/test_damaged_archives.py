"""Published records that are damaged: whoever reads them names the archive, and nobody the cache that it lies in."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import MadeRun, documents, per_text

from baselines.contract import UserError
from benchmarks import api
from benchmarks.cli.main import main
from benchmarks.records.archive import RECORDS, Unpacked, found_run, found_runs
from benchmarks.records.results import load
from benchmarks.records.store import read_run
from benchmarks.tracking.sides import read_side
from cosmos.io.files import cache_folder
from reports.publishing import index

SCORES = per_text("quality", [0.5] * 30)
READERS: dict[str, Callable[[Path], object]] = {
    "load": load,
    "side": lambda place: read_side(str(place)),
    "compare": lambda place: api.compare(place, place),
    "commit": lambda place: read_side("0123456789abcdef0123456789abcdef01234567", place),
    "index": index.published,
}


def published(home: Path, damage: Callable[[Path], None], *runs: str) -> Path:
    """A folder with an archive of runs that are damaged."""
    home.mkdir(parents=True)
    with tarfile.open(home / RECORDS, "w:xz") as packed:
        for name in runs or (".",):
            run = (
                MadeRun(documents(30))
                .add("gpt2", "greedy", SCORES, texts=("a cup",) * 30, latency=(0.1,) * 5)
                .write(home / "made" / name)
            )
            damage(run)
            packed.add(run, arcname=name)
    (home / "made").rename(home.with_name("made"))
    return home


def torn(name: str) -> Callable[[Path], None]:
    """What is no record, in the middle of the file of a name, in every cell or in the run."""

    def damage(run: Path) -> None:
        for path in run.rglob(name):
            content = path.read_bytes()
            middle = content.index(b"\n", len(content) // 2) if b"\n" in content[len(content) // 2 : -1] else 20
            path.write_bytes(content[:middle] + b"?" + content[middle:])

    return damage


def whole(run: Path) -> None:
    """No damage."""


@pytest.mark.parametrize("name", ["plan.json", "header.json", "scores.jsonl", "samples.jsonl"])
@pytest.mark.parametrize("reader", READERS)
def test_who_reads_a_damaged_archive_names_it(reader: str, name: str, tmp_path: Path) -> None:
    place = published(tmp_path / "published", torn(name))
    with pytest.raises(UserError) as raised:
        READERS[reader](place)
    said = str(raised.value)
    assert said.startswith(str(place / RECORDS)) and said.endswith(f"; restore {place / RECORDS} from a copy.")
    assert str(cache_folder()) not in said


@pytest.mark.parametrize(
    "words",
    [("show", "--out"), ("compare", "{}"), ("gate", "{}", "--no-speed", "--against")],
    ids=lambda words: words[0],
)
def test_the_command_line_names_it_too(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = published(tmp_path / "published", torn("header.json"))
    assert main([*(word.format(place) for word in words), str(place)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(str(place / RECORDS)) and str(cache_folder()) not in said


@pytest.mark.parametrize("name", ["header.json", "scores.jsonl", "timings.jsonl"])
def test_a_history_leaves_out_what_is_damaged_and_names_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = published(tmp_path / "published", torn(name))
    MadeRun(documents(30)).add("gpt2", "sample", SCORES, latency=(0.1,) * 5).write(place / "whole")
    assert main(["history", str(place)]) == 0
    said = "".join("".join(capsys.readouterr()).split())  # lines are as long as the terminal is wide
    assert f"{place / RECORDS}/" in said and str(cache_folder()) not in said


def test_documents_that_are_damaged_are_a_reason_that_names_it(tmp_path: Path) -> None:
    from benchmarks.tracking.judging import Judge, NotJudged

    place = published(tmp_path / "published", other_documents)
    (cell,) = read_side(str(place)).cells
    with pytest.raises(NotJudged) as raised:
        Judge().batch(cell)
    assert str(place / RECORDS) in str(raised.value) and str(cache_folder()) not in str(raised.value)


def other_documents(run: Path) -> None:
    for path in (run / "documents").iterdir():
        path.write_text("changed")


def test_a_report_of_an_archive_is_made_by_publishing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = published(tmp_path / "published", whole)
    assert main(["report", "--out", str(place)]) == 2
    assert capsys.readouterr().err.startswith(f"{place} holds published records, whose report `python -m reports")
    torn_place = published(tmp_path / "other" / "torn", torn("plan.json"))
    assert main(["show", "--out", str(torn_place / RECORDS)]) == 2
    assert capsys.readouterr().err.startswith(f"{torn_place / RECORDS}/plan.json")


def test_only_sentences_on_its_files_are_changed() -> None:
    packed = Unpacked(Path("a/records.tar.xz"), Path("/cache/records/12"))
    assert packed.named("Nothing; delete it.") == "Nothing; delete it."
    newer = "/cache/records/12/plan.json has schema 9, newer than the 6 this version reads; update cosmos-bench."
    assert packed.named(newer) == newer.replace("/cache/records/12", "a/records.tar.xz")
    lost = "The run /cache/records/12 has lost its documents ab.jsonl; run it again."
    assert packed.named(lost) == (
        "The run a/records.tar.xz has lost its documents ab.jsonl; restore a/records.tar.xz from a copy."
    )


def test_a_run_is_found_where_it_would_lie_unpacked(tmp_path: Path) -> None:
    place = published(tmp_path / "published", whole, "one", "two")
    (place / "two" / "report").mkdir(parents=True)
    assert [run.name for run in found_runs(place / "two")] == [str(place / "two")]
    assert [run.name for run in found_runs(place / "one")] == [str(place / "one")]
    assert len(read_run(found_run(place / "one").folder)) == 1
    with pytest.raises(UserError, match=r"holds several runs; name one of .*one, .*two\.$"):
        found_run(place)
    with pytest.raises(UserError, match=r"There is nothing at .*three"):
        found_runs(place / "three")
    assert found_run(tmp_path / "made" / "one").origin is None
