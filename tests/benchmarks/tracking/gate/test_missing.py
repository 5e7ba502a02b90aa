"""Cells of the baseline that a run has not: each seed counts, and a run in which all failed is judged too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_runs import MadeRun, per_text

from benchmarks.tracking.gate.gating import GateRequest, gate
from benchmarks.tracking.gate.verdict import GateResult
from benchmarks.tracking.sides import read_side

Command = Callable[..., subprocess.CompletedProcess[str]]
VALUES = [n % 2 for n in range(60)]
FAILED = {"status": "failed", "reason": "NameError: name 'undefined' is not defined"}


def run(made: MadeRun, folder: Path, *seeds: int, **undone: dict[str, str]) -> str:
    """A run of one entry with some seeds, of which those named `seed_N` have other headers."""
    written = MadeRun(made.documents)
    for seed in seeds:
        written.add("gpt2", "greedy", per_text("quality", VALUES), seed=seed, header=undone.get(f"seed_{seed}", {}))
    return str(written.write(folder))


def judged(baseline: str, now: str) -> GateResult:
    return gate(read_side(baseline), read_side(now, none_done=True), GateRequest(speed=False))


def test_a_seed_that_fails_now_is_a_regression(made: MadeRun, tmp_path: Path) -> None:
    baseline = run(made, tmp_path / "a", 0, 1, 2)
    result = judged(baseline, run(made, tmp_path / "b", 0, 1, 2, seed_1=FAILED))
    assert result.exit_code == 1
    (found,) = result.of("regression")
    assert (found.quantity, found.entry) == ("cell", "gpt2 greedy")
    assert found.why == "it fails now (seed 1): NameError: name 'undefined' is not defined"
    assert judged(baseline, run(made, tmp_path / "c", 0, 1, 2)).of("regression") == ()


def test_seeds_that_are_not_there_or_unfinished_cannot_be_judged(made: MadeRun, tmp_path: Path) -> None:
    baseline = run(made, tmp_path / "a", 0, 1, 2)
    result = judged(baseline, run(made, tmp_path / "b", 0))
    told = [found.why for found in result.of("cannot judge") if found.kind == "cell"]
    assert result.exit_code == 2 and told == [f"it is not in {tmp_path / 'b'} (seeds 1, 2)"]
    result = judged(baseline, run(made, tmp_path / "c", 0, 1, 2, seed_2={"status": "started", "reason": ""}))
    told = [found.why for found in result.of("cannot judge") if found.kind == "cell"]
    assert result.exit_code == 2 and told == ["it is unfinished (seed 2)"]


def test_a_run_in_which_every_cell_fails_is_a_regression(command: Command, made: MadeRun, tmp_path: Path) -> None:
    baseline = run(made, tmp_path / "a", 0)
    now = run(made, tmp_path / "b", 0, seed_0=FAILED)
    report = tmp_path / "gate.xml"
    done = command("gate", now, "--against", baseline, "--no-speed", "--junit", str(report), "--github")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regression: cell of gpt2 greedy: it fails now: NameError" in done.stdout
    assert "::error title=gate%3A cell of gpt2 greedy::" in done.stdout
    assert ElementTree.parse(report).getroot().attrib["failures"] == "1"
    narrow = command("gate", f"{now}:gpt2", "--against", baseline, "--no-speed")
    assert narrow.returncode == 1, narrow.stdout + narrow.stderr


def test_a_run_that_was_killed_at_once_cannot_be_judged(command: Command, made: MadeRun, tmp_path: Path) -> None:
    baseline = run(made, tmp_path / "a", 0)
    now = run(made, tmp_path / "b", 0, seed_0={"status": "started"})
    done = command("gate", now, "--against", baseline, "--no-speed")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "cannot judge: cell of gpt2 greedy: it is unfinished" in done.stdout


def test_what_cannot_be_read_is_in_the_outputs_too(
    command: Command, made: MadeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    report, lost = tmp_path / "gate.xml", str(tmp_path / "lost")
    now = run(made, tmp_path / "b", 0)
    done = command("gate", now, "--against", lost, "--no-speed", "--junit", str(report), "--github")
    assert done.returncode == 2 and done.stderr.startswith(f"{lost} is neither a folder nor a git commit")
    (error,) = ElementTree.parse(report).getroot().iter("error")
    assert error.attrib["type"] == "cannot_judge" and lost in error.attrib["message"]
    assert done.stdout.startswith("::warning title=gate%3A comparison::comparison: ")
    assert (tmp_path / "summary.md").read_text().startswith("## gate: cannot judge (1 cannot be judged)")
    assert os.environ["GITHUB_STEP_SUMMARY"], "the command leaves the environment as it was"


def test_records_of_a_device_that_is_not_here(
    command: Command, made: MadeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records of a GPU are planned for and gated on a machine without one."""
    from benchmarks.records import environment

    monkeypatch.setattr(environment, "_cuda_devices", lambda: 0)
    timed = {"latency": (0.1, 0.11, 0.1, 0.12), "batches": (0.3, 0.31, 0.32, 0.3), "cell": {"device": "cuda"}}
    runs = []
    for name, commit in (("a", "0" * 40), ("b", "1" * 40)):
        written = MadeRun(made.documents).add(
            "gpt2", "greedy", per_text("quality", VALUES), header={"commit": commit}, **timed
        )
        runs.append(str(written.write(tmp_path / name)))
    done = command("gate", "--against", runs[0], "--plan")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  latency of gpt2 greedy: " in done.stdout
    done = command("gate", runs[1], "--against", runs[0])
    assert done.returncode in (0, 2) and not done.stderr.startswith("Traceback"), done.stdout + done.stderr
    if done.returncode == 2:
        assert "This machine does not have the device cuda of the records" in done.stdout
