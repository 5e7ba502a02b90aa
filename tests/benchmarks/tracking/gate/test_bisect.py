"""The line of `history` that finds a commit, with the real gate: what does not run is not blamed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gate_repository import Repository, made
from test_drill import REFACTOR, SHIFT, SYSTEM

from benchmarks.tracking.history import bisecting
from benchmarks.tracking.history.schema import HistoryLine, HistoryPoint

VERBS = "benchmarks/cli/main.py"
GATING = "benchmarks/tracking/gate/gating.py"
SAMPLER = ("    for _ in range(setting.steps):\n", "    for _ in range(setting.steps):\n        undefined\n")
SYNTAX = ("from __future__ import annotations\n", "from __future__ import annotations\ndef (\n")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, list[str]]:
    """A repository with a baseline of its first commit, commits that do not run, and one that makes texts worse."""
    repository = made(tmp_path_factory.mktemp("bisect"))
    repository.run("runs/baseline")
    commits = [repository.git("rev-parse", "HEAD")]
    commits.append(repository.commit(SYSTEM, *SAMPLER, "Say what is not there"))
    commits.append(repository.commit(VERBS, *SYNTAX, "Write what is no Python"))
    repository.git("revert", "--no-edit", commits[2])
    repository.git("revert", "--no-edit", commits[1])
    commits.append(repository.git("rev-parse", "HEAD"))
    commits.append(repository.commit(SYSTEM, *SHIFT, "Count from one"))
    commits.append(repository.commit(SYSTEM, *REFACTOR, "Say it in a function"))
    return repository, commits


@pytest.mark.slow
def test_a_commit_that_does_not_run_is_not_blamed(
    broken: tuple[Repository, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, commits = broken
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    line = HistoryLine("quality", "rouge_l", "drill", "lines", "nano", "drill", "corrected", "m", "d", "higher")
    points = [HistoryPoint(n, c, False, "", 0.0, (0,), 1, 0, "runs/baseline") for n, c in enumerate(commits)]
    told, _ = bisecting.commands(line, points, 1, len(points) - 1, 0.8, 0.7)
    kept = {name: text for name, text in os.environ.items() if name != "COSMOS_COMMIT"}
    variables = {**kept, **repository.variables, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    for command in told:
        done = subprocess.run(command, shell=True, cwd=repository.folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"{commits[4]} is the first bad commit" in done.stdout
    repository.git("bisect", "reset")


@pytest.mark.slow
def test_a_fault_of_the_gate_is_no_regression(broken: tuple[Repository, list[str]]) -> None:
    """The exit code 1 that Python ends with by itself would mean one."""
    repository, _ = broken
    repository.git("checkout", "-q", "--detach", repository.git("rev-list", "--max-parents=0", "--all"))
    for before, after in (SYNTAX, ("    pairs, unpaired = match(baseline, run)\n", "    undefined\n")):
        repository.commit(GATING, before, after, "Break the gate")
        done = repository.gate("runs/baseline", "--against", "runs/baseline", "--no-speed")
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.startswith("Traceback ") and not done.stdout
        repository.git("revert", "--no-edit", "HEAD")
