"""The rivals that do not run by default, at nano through the command line on a machine of its own.

Each trains, generates and is scored within three minutes, has a validation loss and beats the floors; and one run of
all of them, killed at random moments and run again, ends with the bytes of the undisturbed runs.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import store, tasks
from benchmarks.records import Record, Score
from benchmarks.stats import compare

ROOT = Path(__file__).parents[2]
MINUTES = 3.0
METRIC = "exact_j"
RIVALS = ("sedd", "duo", "tencdm", "ld4lg", "diffuseq")
FLOORS = ("copy", "unigram", "retrieval")


def start(folder: Path, *systems: str) -> subprocess.Popen[bytes]:
    words = ["run", "--task", "detox", "--device", "cpu", "--system", ",".join(systems), "--out", str(folder)]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "benchmarks", *words], stdout=log, stderr=log, cwd=ROOT)


def finish(folder: Path, *systems: str) -> list[Record]:
    assert start(folder, *systems).wait(3600) == 0, (folder.parent / f"{folder.name}.log").read_text()
    return store.read_run(folder)


def score_of(record: Record) -> Score:
    return next(score for score in record.scores if score.metric == METRIC)


def texts(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("cells/*/samples.jsonl")}


@pytest.mark.slow
def test_every_rival_is_quick_learns_and_survives_kills(tmp_path: Path) -> None:
    floors = finish(tmp_path / "floors", *FLOORS)
    minutes: dict[str, float] = {}
    whole: dict[str, bytes] = {}
    unlearnt: list[str] = []
    for name in RIVALS:
        began = time.monotonic()
        records = finish(tmp_path / name, name)
        minutes[name] = (time.monotonic() - began) / 60
        whole |= texts(tmp_path / name)
        best = max(records, key=lambda record: score_of(record).value or 0.0)
        said = ", ".join(f"{record.header.cell.setting} {score_of(record).value}" for record in records)
        print(f"{name}: {minutes[name]:.1f} minutes, {METRIC} {said}", flush=True)
        assert best.header.training is not None
        assert best.header.training.validation_loss is not None
        ours = score_of(best).values
        for floor in floors:
            theirs = score_of(floor).values
            assert ours is not None
            assert theirs is not None
            if compare(ours, theirs).outcome != "better":
                unlearnt.append(f"{name} against {floor.header.cell.system}")
    assert {record.header.cell.system for record in floors} == set(FLOORS) < set(tasks.find("detox").floors)

    moments = random.Random(5)
    together = 60 * sum(minutes.values())
    kept = []
    for _ in RIVALS:
        process = start(tmp_path / "killed", *RIVALS)
        try:
            process.wait(moments.uniform(0.1, 0.4) * together)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        kept.append(sum(map(len, texts(tmp_path / "killed").values())))
    finish(tmp_path / "killed", *RIVALS)
    print(f"bytes of samples after each kill: {kept}, of {sum(map(len, whole.values()))}")
    assert texts(tmp_path / "killed") == whole
    assert unlearnt == []
    assert max(minutes.values()) <= MINUTES, minutes
