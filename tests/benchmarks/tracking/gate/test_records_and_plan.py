"""Speed by the records of both runs, where the baseline's code cannot be had; and what `--plan` says of two runs.

Time is the drill's, simulated: the outcome does not depend on the machine.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.cli.main import main
from benchmarks.records import store

sys.path.insert(0, str(Path(__file__).parent))
from gate_repository import Repository, made
from test_drill import SLOW, SYSTEM


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a baseline whose commit nobody has any more, and a run that is slower than it."""
    repository = made(tmp_path_factory.mktemp("records"))
    believed(repository.run("runs/baseline"), commit="0" * 40)
    repository.commit(SYSTEM, *SLOW, "Look twice")
    believed(repository.run("runs/slow"))
    return repository


def believed(run: Path, **fields: object) -> None:
    """Have the timings of a run pass as valid, whatever else the machine did meanwhile; and its headers say more."""
    for folder in (run / "cells").iterdir():
        header = store.read_header(folder)
        assert header is not None
        verdict = {**header.verdict, "valid": True, "reasons": [], "stalled": []}
        if "quantities" in verdict:
            verdict["quantities"] = {name: {"valid": True, "reasons": []} for name in verdict["quantities"]}
        changed = dataclasses.replace(header, verdict=verdict, **fields)  # type: ignore[arg-type]
        store.write_header(folder, changed)


@pytest.mark.slow
def test_what_is_slower_by_the_records_is_timed_again_before_it_counts(slower: Repository) -> None:
    done = slower.gate("runs/slow", "--against", "runs/baseline", "--set", "gate.speed=2%", "--processes", "4")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("regression: ")]
    assert [line.split(": ")[1] for line in lines] == ["latency of drill corrected", "throughput@25 of drill corrected"]
    assert all("slower by the records, and in fresh processes too (" in line for line in lines)
    assert all("does not have the commit 0000000000; fetch it" in line for line in lines)


@pytest.mark.slow
def test_what_is_slower_by_the_records_alone_does_not_count(slower: Repository) -> None:
    """As of a run that was made while something else kept the machine busy: its code is as fast as the baseline's."""
    slower.git("revert", "--no-edit", "HEAD")
    shutil.copytree(slower.folder / "runs/slow", slower.folder / "runs/unlucky")
    believed(slower.folder / "runs/unlucky", commit=slower.git("rev-parse", "HEAD"))
    done = slower.gate("runs/unlucky", "--against", "runs/baseline", "--set", "gate.speed=2%", "--processes", "4")
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("cannot judge: ") and "corrected" in line]
    assert len(lines) == 2 and all("it was slower, but not in fresh processes" in line for line in lines)


def test_records_of_unlike_machines_are_not_compared(slower: Repository) -> None:
    shutil.copytree(slower.folder / "runs/slow", slower.folder / "runs/elsewhere")
    (folder, *_) = (slower.folder / "runs/elsewhere/cells").iterdir()
    header = store.read_header(folder)
    assert header is not None
    believed(slower.folder / "runs/elsewhere", device={**header.device, "name": "another processor"})
    done = slower.gate("runs/elsewhere", "--against", "runs/baseline")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the records cannot be compared (machine class, device “" in done.stdout
    assert "against “another processor”" in done.stdout


def test_the_plan_names_texts_and_processes(
    slower: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of records alone: nothing of the code that made them is asked, so that this process may plan."""
    monkeypatch.chdir(slower.folder)
    assert main(["gate", "--against", "runs/baseline", "--plan"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "texts for a loss of 2 points, with 90% power:"
    (rouge,) = (line for line in lines if line.startswith("  rouge_l of drill plain: "))
    needed, visible = (
        int(rouge.split(": ")[1].split()[0].replace(",", "")),
        float(rouge.split("which show ")[1].split(";")[0]),
    )
    assert rouge.endswith("; too small to see now; by the baseline's texts, at most)")
    # Differences that have nothing in common have twice the variance of a score; sizes go with the square.
    assert needed == pytest.approx(300 * (visible / 0.02) ** 2, rel=0.02)
    assert "processes and rounds for a slowdown of 5%, with 90% power:" in lines
    assert any(line.startswith("  latency of drill corrected: --processes ") for line in lines)
    assert main(["gate", "runs/slow", "--against", "runs/baseline", "--plan", "--minutes", "0.1"]) == 0
    assert "0 processes fit into the time given: nothing can be seen" in capsys.readouterr().out
