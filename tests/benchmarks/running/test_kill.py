"""`kill -9` at counted moments of a run: it goes on, and leaves the bytes of an undisturbed run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.records import store

HERE = Path(__file__).parents[1]
FIT = ("fsync:1", "replace:1", "fsync:2", "replace:2", "fsync:5", "replace:4")
GENERATE = ("write:1", "replace:1", "write:9", "write:14", "write:15", "fsync:2", "write:20", "write:24", "fsync:6")


@pytest.fixture
def end(installed: Path, tmp_path: Path) -> Callable[..., list[tuple[str, list[int]]]]:
    """Fit or generate the toy, killed at moments; how each attempt ended, and how many texts there were then."""

    def run(folder: str, verb: str, *moments: str) -> list[tuple[str, list[int]]]:
        words = [verb, "--task", "echo", "--device", "cpu", "--set", "batch_size=3", "--out", str(tmp_path / folder)]
        path = os.pathsep.join(map(str, (HERE.parents[1], HERE / "outside", installed)))
        done = subprocess.run(
            [sys.executable, str(HERE / "killed_program.py"), ",".join(moments), *words],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        lines = [line.rpartition(" [") for line in done.stdout.splitlines() if line.startswith(("killed", "exit"))]
        return [(ended, ast.literal_eval(f"[{texts}")) for ended, _, texts in lines]

    return run


def samples(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.rglob("samples.jsonl")}


@pytest.mark.slow
def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(
    end: Callable[..., list[tuple[str, list[int]]]], tmp_path: Path
) -> None:
    for verb, moments in (("fit", FIT), ("generate", GENERATE)):
        assert [ended for ended, _ in end("whole", verb)] == ["exit code 0"]
        attempts = end("killed", verb, *moments)
        assert [ended for ended, _ in attempts] == [*(f"killed at {moment}" for moment in moments), "exit code 0"]
    assert len({tuple(texts) for _, texts in attempts}) > 4, "it was killed with as many texts each time"
    whole = samples(tmp_path / "whole")
    assert len(whole) == 2
    assert samples(tmp_path / "killed") == whole
    for record in store.read_run(tmp_path / "killed"):
        assert [timing.index for timing in record.timings if timing.kind == "batch"] == list(range(8))
        assert record.header.status == "done"
