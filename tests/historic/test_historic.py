"""Records of every schema that a user may have: they load, are shown and make a report, and none is changed by it."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

import reports
from benchmarks import load
from benchmarks.cli.main import main
from benchmarks.records import store
from benchmarks.records.archive import RECORDS, found_runs
from benchmarks.records.schema import SCHEMA
from benchmarks.speed.schema import SCHEMA as SPEED_SCHEMA
from benchmarks.speed.schema import read_records
from reports.figures.picture import Picture
from reports.speed.report import write

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent.name for path in HERE.glob(f"*/{RECORDS}"))
LARGEST = 30_000  # bytes of an archive


def schema_of(folder: str) -> int:
    named = re.fullmatch(r"schema-(\d+)(-\w+)?", folder)
    assert named, f"{folder} does not say its schema"
    return int(named[1])


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(folder: str) -> Path:
    """The records, unpacked."""
    (only,) = found_runs(HERE / folder)
    assert only.name == str(HERE / folder)
    return only.folder


def raw(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_schema_has_a_record() -> None:
    """Whoever raises SCHEMA adds a folder with a small run of the new code; README.md beside this says how."""
    assert {schema_of(folder) for folder in FOLDERS} == set(range(1, SCHEMA + 1))
    told = re.findall(r"^\| `([\w-]+)` \|", (HERE / "README.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted([*FOLDERS, *(path.parent.name for path in HERE.glob("*/speed.jsonl"))])


def test_the_records_are_of_the_schema_that_the_folder_says(folder: str, run: Path) -> None:
    headers = [json.loads(path.read_text()) for path in run.glob("cells/*/header.json")]
    assert len(headers) >= 6
    assert {header["schema"] for header in headers} == {schema_of(folder)}
    assert (HERE / folder / RECORDS).stat().st_size <= LARGEST


def test_all_that_was_recorded_is_loaded(folder: str, run: Path) -> None:
    """Against the files themselves, which are read here without a line of ours."""
    frame = load(HERE / folder)
    cells = sorted(path.parent for path in run.glob("cells/*/header.json"))
    assert sorted(frame["cell"].unique()) == [cell.name for cell in cells]
    for cell in cells:
        header = json.loads((cell / "header.json").read_text())
        scores, samples, timings = (raw(cell / f"{name}.jsonl") for name in ("scores", "samples", "timings"))
        own = frame[frame["cell"] == cell.name]
        assert own["metric"].tolist() == [score["metric"] for score in scores]
        for name in ("value", "low", "high"):
            found = [None if math.isnan(value) else value for value in own[name]]
            assert found == [score[name] for score in scores]
        assert own["n"].tolist() == [score["n"] for score in scores]
        assert own["reason"].where(own["reason"].notna(), None).tolist() == [score["reason"] for score in scores]
        assert set(own["system"]) == {header["cell"]["system"]}
        assert set(own["setting"]) == {header["cell"]["setting"]}
        assert set(own["commit"]) == {header["commit"]}
        texts = frame.samples[frame.samples["cell"] == cell.name]
        assert texts["document"].tolist() == [sample["id"] for sample in samples]
        assert texts["text"].tolist() == [sample["text"] for sample in samples]
        calls = frame.timings[frame.timings["cell"] == cell.name]
        counted = {timing["seconds"] for timing in timings if timing["kind"] != "warmup"}
        assert len(calls), "a cell without timed calls"
        assert set(calls["seconds"]) <= counted, "calls that stalled or only warmed up count for nothing"
    (training,) = frame.training.to_dict("records")
    assert training["system"] == "mdlm" and training["steps"] == 2
    assert set(frame.curves["stage"]) == {"mdlm"}


def test_references_score_as_they_did(folder: str) -> None:
    frame = load(HERE / folder)
    reference = frame[frame["system"] == "reference"].set_index("metric")["value"]
    assert reference["exact_j"] == 1.0
    assert reference["bleu"] == pytest.approx(100)


def test_a_report_is_made(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made of the records and left empty: to draw them takes half of the time, and asks no record."""
    monkeypatch.setattr(Picture, "svg", "<svg viewBox='0 0 1 1'></svg>\n" + " " * 99)
    monkeypatch.setattr(Picture, "pdf", b"%PDF-1.4\n")
    before = bytes_of(run)
    written = reports.write(run, tmp_path / "report")
    text = written["markdown"].read_text()
    for cell in store.read_plan(run)["cells"]:
        assert cell in text
    assert "mdlm" in text and "exact_j" in text
    assert "Reference" in reports.terminal(run, 100)
    assert bytes_of(run) == before


def test_a_cell_is_shown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bytes_of(run)
    assert main(["show", "reference", "--out", str(run)]) == 0
    said = capsys.readouterr().out
    samples = next(r.samples for r in store.read_run(run) if r.header.cell.system == "reference")
    assert samples[0].text in said and "training: 0 steps" in said
    assert bytes_of(run) == before


def test_every_schema_of_speed_has_a_record() -> None:
    assert sorted(path.parent.name for path in HERE.glob("*/speed.jsonl")) == [
        f"speed-{number}" for number in range(1, SPEED_SCHEMA + 1)
    ]


@pytest.mark.parametrize("number", range(1, SPEED_SCHEMA + 1))
def test_records_of_speed_load_and_make_a_report(number: int, tmp_path: Path) -> None:
    folder = HERE / f"speed-{number}"
    rows = raw(folder / "speed.jsonl")
    assert {row["schema"] for row in rows} == {number}
    speed = read_records(folder)
    assert speed.ceilings is not None
    assert speed.ceilings.matrix_flops_per_second == rows[0]["matrix_flops_per_second"]
    assert [list(record.seconds) for record in speed.measured] == [row["seconds"] for row in rows[1:]]
    assert {record.method for record in speed.measured} == {"mdlm"}
    shutil.copytree(folder, tmp_path / "speed")
    assert "MDLM, by confidence, 2 steps" in write(tmp_path / "speed")["markdown"].read_text()
    assert (tmp_path / "speed" / "speed.jsonl").read_bytes() == (folder / "speed.jsonl").read_bytes()


def test_all_of_them_are_one_tree() -> None:
    """Runs of many versions in one frame, each cell under its run."""
    whole = load(HERE)
    assert sorted(whole["run"].unique()) == [str(HERE / folder) for folder in FOLDERS]
    parts = pd.concat([load(HERE / folder) for folder in FOLDERS], ignore_index=True)
    pd.testing.assert_frame_equal(pd.DataFrame(whole), pd.DataFrame(parts))
