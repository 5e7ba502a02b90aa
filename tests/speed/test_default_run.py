"""The default run on a machine of its own: five minutes, four gigabytes, and systems that have learnt the task."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import store, tasks
from benchmarks.records import Record, Score
from benchmarks.stats import compare

ROOT = Path(__file__).parents[2]
MINUTES, GIGABYTES = 5.0, 4.0
METRIC = "exact_j"


def score_of(record: Record) -> Score:
    return next(score for score in record.scores if score.metric == METRIC)


@pytest.mark.slow
def test_the_default_run_keeps_its_bars(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [sys.executable, "-m", "benchmarks", "run", "--task", "detox", "--device", "cpu", "--out", str(run)]
    began = time.monotonic()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    minutes = (time.monotonic() - began) / 60
    gigabytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(f"default run: {minutes:.1f} minutes, {gigabytes:.1f} GB at most")
    assert process.returncode == 0, (tmp_path / "log").read_text()

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
    assert minutes <= MINUTES
    assert gigabytes <= GIGABYTES
