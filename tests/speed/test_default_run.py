"""The default run of each task on a machine of its own: five minutes, four gigabytes; and detox has been learnt.

Real texts have ten minutes, as their sources are longer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import tasks
from benchmarks.records import store
from benchmarks.records.schema import Record, Score
from benchmarks.stats import compare

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("COSMOS_DATA") or ROOT.parent / "shared" / "data")
MINUTES, GIGABYTES = 5.0, 4.0
METRIC = "exact_j"


def timed_run(task: str, folder: Path, *further: str, most: float = MINUTES) -> Path:
    """The run that `python -m benchmarks run --task TASK` makes, within its bars."""
    run, log_file = folder / "run", folder / "log"
    words = [sys.executable, "-m", "benchmarks", "run", "--task", task, "--device", "cpu", "--out", str(run), *further]
    began = time.monotonic()
    with log_file.open("wb") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    minutes = (time.monotonic() - began) / 60
    gigabytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(f"default run of {task}: {minutes:.1f} minutes, {gigabytes:.1f} GB at most")
    assert process.returncode == 0, log_file.read_text()
    assert minutes <= most
    assert gigabytes <= GIGABYTES
    return run


def score_of(record: Record) -> Score:
    return next(score for score in record.scores if score.metric == METRIC)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["story", "question", "summary"])
def test_the_other_tasks_keep_the_bars(task: str, tmp_path: Path) -> None:
    records = store.read_run(timed_run(task, tmp_path))
    assert {record.header.cell.system for record in records} == {*tasks.find(task).systems, *tasks.find(task).floors}
    assert {record.header.status for record in records} == {"done"}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detox", "story", "question", "summary"])
def test_real_texts_keep_a_bar_of_their_own(task: str, tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("the real texts are not here; name their folder in COSMOS_DATA")
    words = ["--source", "local", "--limit", "200", "--set", f"data.folder={DATA}"]
    records = store.read_run(timed_run(task, tmp_path, *words, most=2 * MINUTES))
    assert {record.header.status for record in records} == {"done"}


@pytest.mark.slow
def test_the_default_run_keeps_its_bars(tmp_path: Path) -> None:
    run = timed_run("detox", tmp_path)
    first: dict[str, Record] = {}  # of each system the setting it would be judged by: the first
    for record in store.read_run(run):
        first.setdefault(record.header.cell.system, record)
        print(f"{record.header.cell.system} {record.header.cell.setting}: {METRIC} {score_of(record).value}")
    task = tasks.find("detox")
    answers = score_of(first["reference"]).values
    assert answers is not None
    assert set(answers) == {1.0}
    for system in task.systems:
        ours = score_of(first[system]).values
        for floor in task.floors:
            theirs = score_of(first[floor]).values
            assert ours is not None
            assert theirs is not None
            if floor != "reference":
                assert compare(ours, theirs).outcome == "better", f"{system} against {floor}"
