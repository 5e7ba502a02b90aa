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

from benchmarks.records import store
from benchmarks.records.schema import Record, Score
from benchmarks.stats import compare

ROOT = Path(__file__).parents[2]
MINUTES = 3.0
METRIC = "exact_j"
RIVALS = ("sedd", "duo", "tencdm", "ld4lg", "diffuseq")
FLOORS = ("copy", "unigram", "retrieval")
KILLS = 5


def start(folder: Path, *systems: str) -> subprocess.Popen[bytes]:
    words = ["run", "--task", "detox", "--device", "cpu", "--system", ",".join(systems), "--out", str(folder)]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "benchmarks", *words], stdout=log, stderr=log, cwd=ROOT)


def finish(folder: Path, *systems: str) -> None:
    assert start(folder, *systems).wait(3600) == 0, (folder.parent / f"{folder.name}.log").read_text()


def score_of(record: Record) -> Score:
    return next(score for score in record.scores if score.metric == METRIC)


def texts(folder: Path, systems: tuple[str, ...] = RIVALS) -> dict[str, bytes]:
    """The stored samples of systems, by cell."""
    cells = [record.header.cell for record in store.read_run(folder)] if (folder / "plan.json").exists() else []
    files = {cell.id: folder / "cells" / cell.id / "samples.jsonl" for cell in cells if cell.system in systems}
    return {cell: path.read_bytes() for cell, path in files.items() if path.exists()}


@pytest.mark.slow
def test_every_rival_is_quick_learns_and_survives_kills(tmp_path: Path) -> None:
    minutes: dict[str, float] = {}
    whole: dict[str, bytes] = {}
    unlearnt: list[str] = []
    for name in RIVALS:
        began = time.monotonic()
        finish(tmp_path / name, name)
        minutes[name] = (time.monotonic() - began) / 60
        whole |= texts(tmp_path / name)
        records = store.read_run(tmp_path / name)
        own = [record for record in records if record.header.cell.system == name]
        floors = [record for record in records if record.header.cell.system in FLOORS]
        assert len(floors) == len(FLOORS)
        said = ", ".join(f"{record.header.cell.setting} {score_of(record).value}" for record in own)
        print(f"{name}: {minutes[name]:.1f} minutes, {METRIC} {said}", flush=True)
        first = own[0]  # the setting it is judged by
        assert first.header.training is not None
        assert first.header.training.validation_loss is not None
        for floor in floors:
            ours, theirs = score_of(first).values, score_of(floor).values
            assert ours is not None
            assert theirs is not None
            if compare(ours, theirs).outcome != "better":
                unlearnt.append(f"{name} against {floor.header.cell.system}")

    moments = random.Random(5)
    together = 60 * sum(minutes.values())
    kept = []
    while len(kept) < KILLS:
        process = start(tmp_path / "killed", *RIVALS)
        try:
            code = process.wait(moments.uniform(0.05, 0.2) * together)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
            kept.append(sum(map(len, texts(tmp_path / "killed").values())))
        else:
            assert code == 0, (tmp_path / "killed.log").read_text()
            break
    finish(tmp_path / "killed", *RIVALS)
    print(f"bytes of samples after each kill: {kept}, of {sum(map(len, whole.values()))}")
    assert len(kept) >= KILLS - 1
    assert texts(tmp_path / "killed") == whole
    assert unlearnt == []
    assert max(minutes.values()) <= MINUTES, minutes
