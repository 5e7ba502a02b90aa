"""`kill -9` at random moments of a run: it goes on, and leaves the bytes of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import store

OUTSIDE = Path(__file__).parent / "outside"
ROOT = Path(__file__).parents[2]
PAUSES = ("toy.recipe.pause_seconds=0.03", "toy.setting.pause_seconds=0.01", "batch_size=3")


@pytest.fixture
def start(installed: Path, tmp_path: Path) -> Callable[[str], subprocess.Popen[bytes]]:
    """Start fitting and generating the toy into a folder."""
    path = os.pathsep.join([str(ROOT), str(OUTSIDE), str(installed)])
    settings = [word for pause in PAUSES for word in ("--set", pause)]

    def begin(folder: str, verb: str = "fit") -> subprocess.Popen[bytes]:
        words = [verb, "--task", "echo", "--device", "cpu", *settings, "--out", str(tmp_path / folder)]
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks", *words],
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )

    return begin


def samples(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.rglob("samples.jsonl")}


def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    seconds = {}
    for verb in ("fit", "generate"):
        began = time.monotonic()
        assert start("whole", verb).wait(300) == 0
        seconds[verb] = time.monotonic() - began
    moments = random.Random(5)
    prefixes = []
    for verb, kills in (("fit", 2), ("generate", 4)):
        for _ in range(kills):
            process = start("killed", verb)
            time.sleep(moments.uniform(0.3, 0.95) * seconds[verb])
            process.send_signal(signal.SIGKILL)
            process.wait(300)
            for cell in (tmp_path / "killed" / "cells").glob("*/header.json"):
                prefixes.append(len(store.read_cell(cell.parent).samples))  # always readable
        assert start("killed", verb).wait(300) == 0
    whole = samples(tmp_path / "whole")
    assert len(whole) == 2
    assert samples(tmp_path / "killed") == whole
    assert prefixes
    for record in store.read_run(tmp_path / "killed"):
        assert [timing.index for timing in record.timings if timing.kind == "batch"] == list(range(8))
        assert record.header.status == "done"
