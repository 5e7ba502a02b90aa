"""`kill -9` at five random moments of a real run, each time run again: the bytes are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import tasks
from benchmarks.records import store

ROOT = Path(__file__).parents[2]
SMALL = ("data.train=120", "data.validation=20", "data.test=120", "budget=6steps", "batch_size=6")


def start(folder: Path) -> subprocess.Popen[bytes]:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    words = ["run", "--task", "detox", "--device", "cpu", *settings, "--out", str(folder)]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks", *words],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def texts(run: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in run.glob("cells/*/samples.jsonl")}


@pytest.mark.slow
def test_five_kills_change_no_byte(tmp_path: Path) -> None:
    began = time.monotonic()
    assert start(tmp_path / "whole").wait(900) == 0, (tmp_path / "whole.log").read_text()
    seconds = time.monotonic() - began
    moments = random.Random(11)
    seen = []
    for _ in range(5):
        process = start(tmp_path / "killed")
        try:
            process.wait(moments.uniform(0.15, 0.6) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        seen.append({path: len(data) for path, data in texts(tmp_path / "killed").items()})
    assert start(tmp_path / "killed").wait(900) == 0, (tmp_path / "killed.log").read_text()
    whole = texts(tmp_path / "whole")
    assert {r.header.cell.system for r in store.read_run(tmp_path / "whole")} >= set(tasks.find("detox").systems)
    assert texts(tmp_path / "killed") == whole
    print(f"undisturbed: {seconds:.0f} s; bytes of samples after each kill: {[sum(sizes.values()) for sizes in seen]}")
