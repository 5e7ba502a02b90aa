"""The drill: commits to a real repository, of which the gate must tell the bad from the good, and name the cell.

What is simulated is time, and only that: the drill's sampler spends simulated seconds, from which each process deviates
by half a per cent and each call by one (`outside/drill/simulated.py`), so that the outcome does not depend on the
machine. Repository, commits, worktrees, processes, runs and records are real. `test_real_time.py` has a drill without
simulation.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gate_repository import Repository, made

SYSTEM = "drill_system.py"
SLOW = ("            seconds = 0.010\n", "            seconds = 0.011\n")
SHIFT = ("    if setting.corrected:\n        shift = 0\n", "    if setting.corrected:\n        shift = 1\n")
REFACTOR = (
    "    written = []\n    for row, seed in zip(rows, seeds, strict=True):\n        draw = random.Random(seed)\n"
    "        written.append([draw.randrange(size) if draw.random() < 1 / 6 else token for token in row])\n"
    "    return written\n",
    "    return [_noisy(row, random.Random(seed), size) for row, seed in zip(rows, seeds, strict=True)]\n\n\n"
    "def _noisy(row: Sequence[int], draw: random.Random, size: int) -> list[int]:\n"
    "    return [draw.randrange(size) if draw.random() < 1 / 6 else token for token in row]\n",
)
TIMED = ("--processes", "3", "--rounds", "5")


@pytest.fixture(scope="module")
def with_baseline(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a run of its first commit."""
    repository = made(tmp_path_factory.mktemp("drill"))
    repository.run("runs/baseline")
    return repository


@pytest.fixture
def drilled(with_baseline: Repository, tmp_path: Path) -> Repository:
    """The same, at its first commit, with processes that are counted anew."""
    with_baseline.git("checkout", "-q", "--detach", with_baseline.git("rev-list", "--max-parents=0", "--all"))
    (tmp_path / "processes").mkdir()
    return replace(with_baseline, processes=tmp_path / "processes")


def what_failed(done: subprocess.CompletedProcess[str]) -> set[tuple[str, str]]:
    """Outcome and title of all that did not pass."""
    lines = [line.split(": ") for line in done.stdout.splitlines()]
    return {(parts[0], parts[1]) for parts in lines if parts[0] in ("regression", "cannot judge")}


def test_a_slower_sampler_is_a_regression_of_the_cells_that_use_it(drilled: Repository) -> None:
    slow = drilled.commit(SYSTEM, *SLOW, "Look twice")
    drilled.run("runs/slow", "--fresh")
    done = drilled.gate("runs/slow", "--against", "runs/baseline", *TIMED)
    assert done.returncode == 1, done.stdout + done.stderr
    assert what_failed(done) == {
        ("regression", "throughput@25 of drill corrected"),
        ("regression", "latency of drill corrected"),
    }
    line = next(line for line in done.stdout.splitlines() if line.startswith("regression: latency"))
    assert "seconds +10." in line or "seconds +9." in line
    assert f"commit {slow[:10]} is slower than commit" in line and "+5.0 % is allowed" in line
    again = "python -m benchmarks gate runs/slow --against runs/baseline --processes 3 --rounds 5 --system drill"
    assert f"    {again}" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].startswith("gate: regression (2 worse, ")
    assert drilled.git("worktree", "list").count("\n") == 0, "the worktree was removed"


def test_a_shifted_decoder_is_a_regression_of_the_cells_that_use_it(drilled: Repository) -> None:
    drilled.commit(SYSTEM, *SHIFT, "Count from one")
    drilled.run("runs/shift", "--fresh")
    done = drilled.gate("runs/shift", "--against", "runs/baseline", "--no-speed")
    assert done.returncode == 1, done.stdout + done.stderr
    assert ("regression", "rouge_l of drill corrected") in what_failed(done)
    assert {title.rpartition(" of ")[2] for _, title in what_failed(done)} == {"drill corrected"}
    assert any(
        line.startswith("    python -m benchmarks compare runs/baseline runs/shift --metric ")
        for line in done.stdout.splitlines()
    )


@pytest.mark.slow
def test_an_innocent_refactor_passes(drilled: Repository) -> None:
    drilled.commit(SYSTEM, *REFACTOR, "Say it in a function")
    drilled.run("runs/refactor", "--fresh")
    done = drilled.gate("runs/refactor", "--against", "runs/baseline", *TIMED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert what_failed(done) == set()
    assert done.stdout.splitlines()[-1] == "gate: pass (12 passed): runs/refactor against runs/baseline"


@pytest.mark.slow
def test_more_network_calls_are_counted(drilled: Repository) -> None:
    """A step more of the same length: the calls say it without any clock."""
    drilled.commit(SYSTEM, '"corrected": Setting(8, ', '"corrected": Setting(9, ', "Take one more step")
    drilled.run("runs/step", "--fresh")
    done = drilled.gate("runs/step", "--against", "runs/baseline", "--no-speed")
    assert done.returncode == 1, done.stdout + done.stderr
    assert ("regression", "calls of drill corrected") in what_failed(done)
    assert "8 -> 9, +1, +0.08 is allowed" in done.stdout


@pytest.mark.slow
def test_another_evaluator_cannot_be_judged(drilled: Repository) -> None:
    rouge = "benchmarks/metrics/rouge.py"
    before = '        direction="higher",\n        evaluators={\n            ANYWHERE: Evaluator('
    drilled.commit(
        rouge, before, before.replace("        evaluators", '        version="2",\n        evaluators'), "Redefine"
    )
    drilled.run("runs/evaluator", "--fresh")
    done = drilled.gate("runs/evaluator", "--against", "runs/baseline", "--no-speed")
    assert done.returncode == 2, done.stdout + done.stderr
    assert what_failed(done) == {
        ("cannot judge", "rouge_l of drill plain"),
        ("cannot judge", "rouge_l of drill corrected"),
    }
    assert "judged unlike, version “1” against “2”" in done.stdout


@pytest.mark.slow
def test_other_documents_cannot_be_judged_and_other_training_documents_are_named(drilled: Repository) -> None:
    drilled.run("runs/tested", "--set", "data.test=299")
    done = drilled.gate("runs/tested", "--against", "runs/baseline", "--no-speed")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "test documents “" in done.stdout and "only answers to the same are compared" in done.stdout
    drilled.run("runs/trained", "--set", "data.train=21")
    done = drilled.gate("runs/trained", "--against", "runs/baseline", "--no-speed")
    assert done.returncode == 0, done.stdout + done.stderr
    named = [line for line in done.stdout.splitlines() if line.startswith("note: the training set changed: ")]
    assert len(named) == 1 and named[0].endswith("(drill plain, drill corrected)")


@pytest.mark.slow
def test_the_gate_makes_the_run_itself(drilled: Repository) -> None:
    """Without a run to judge, the baseline's commands are carried out by the code at work."""
    drilled.commit(SYSTEM, *SHIFT, "Count from one")
    done = drilled.gate("--against", "runs/baseline", "--no-speed", "--out", "runs/made")
    assert done.returncode == 1, done.stdout + done.stderr
    assert ("regression", "rouge_l of drill corrected") in what_failed(done)
    assert json.loads((drilled.folder / "runs/made/plan.json").read_text())["systems"].keys() == {"drill"}
