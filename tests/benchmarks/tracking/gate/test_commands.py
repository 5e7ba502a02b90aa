"""The commands that a gate shows and those that it carries out: each says all that was said to the gate."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from made_runs import COMMITS, MadeRun, per_text

from baselines.contract import UserError
from benchmarks.cli.main import main
from benchmarks.records import store
from benchmarks.tracking.gate import remaking
from benchmarks.tracking.gate.remaking import narrowed
from benchmarks.tracking.sides import read_side

OUTSIDE = Path(__file__).parents[2] / "outside"
Command = Callable[..., subprocess.CompletedProcess[str]]
GOOD = [1.0] * 50 + [0.0] * 10
BAD = [0.0] * 50 + [1.0] * 10
PLAN = {
    "task": {"name": "detox", "systems": ["cosmos", "gpt2", "mdlm"]},
    "systems": {"cosmos": {}, "gpt2": {}, "mdlm": {}, "copy": {}},
}


def shown(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The commands that were shown."""
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("    python -m benchmarks ")]


@pytest.fixture
def sides(made: MadeRun, tmp_path: Path) -> list[str]:
    """A baseline, and a run of which one metric is worse; each has a metric that the gate does not look at."""
    written = []
    for name, values, commit in (("a", GOOD, COMMITS[0]), ("b", BAD, COMMITS[1])):
        run = MadeRun(made.documents)
        for system in ("gpt2", "mdlm"):
            run.add(system, "greedy", per_text("exact_j", values), per_text("bleu", GOOD), header={"commit": commit})
        written.append(str(run.write(tmp_path / name)))
    return written


def test_the_command_that_shows_a_loss_compares_what_was_gated(command: Command, sides: list[str]) -> None:
    done = command("gate", sides[1], "--against", sides[0], "--set", "gate.bleu=false", "--no-speed")
    assert done.returncode == 1, done.stdout + done.stderr
    (told,) = set(shown(done))
    assert told == shlex.join(
        ["python", "-m", "benchmarks", "compare", sides[0], sides[1], "--metric", "exact_j,calls"]
    )
    again = command(*shlex.split(told)[3:])
    assert again.returncode == 0 and again.stdout.count("worse") >= 2, again.stdout + again.stderr
    assert "bleu" not in again.stdout


def test_the_command_compares_the_one_system_that_was_gated(command: Command, sides: list[str]) -> None:
    done = command("gate", sides[1], "--against", sides[0], "--system", "mdlm", "--no-speed")
    (told,) = set(shown(done))
    words = shlex.split(told)
    assert words[3:6] == ["compare", f"{sides[0]}:mdlm", f"{sides[1]}:mdlm"]
    again = command(*words[3:])
    assert again.returncode == 0 and "mdlm" in again.stdout and "gpt2" not in again.stdout


def test_the_command_that_times_again_says_every_flag(command: Command, sides: list[str], tmp_path: Path) -> None:
    plan = tmp_path / "a plan.toml"
    plan.write_text("[gate]\nbleu = false\n")
    flags = ["--config", str(plan), "--processes", "4", "--rounds", "6", "--minutes", "0.5"]
    flags += ["--set", "gate.speed=7%", "--set", "gate.calls=false", "--no-offline"]
    # The runs have no timings, so that there is something to be told of each speed.
    done = command("gate", sides[1], "--against", sides[0], *flags, "--system", "gpt2")
    (told,) = {line for line in shown(done) if shlex.split(line)[3] == "gate"}
    expected = ["python", "-m", "benchmarks", "gate", sides[1], "--against", sides[0], *flags, "--system", "gpt2"]
    assert sorted(shlex.split(told)) == sorted(expected)
    assert shown(command(*shlex.split(told)[3:])) == shown(done)


@pytest.mark.parametrize(
    ("typed", "systems", "made"),
    [
        ("--task detox --system cosmos,gpt2", ("gpt2",), "--task detox --system gpt2"),
        ("--task detox", ("mdlm",), "--task detox --system mdlm"),
        ("--task detox --system cosmos,gpt2,mdlm", ("mdlm", "gpt2"), "--task detox --system gpt2,mdlm"),
        (
            "--task detox --system cosmos,gpt2 --setting cosmos:dpmpp_2m-20,gpt2:greedy --set gpt2.recipe.width=8 "
            "--set cosmos.setting.steps=2 --set budget=9steps --set data.train=5",
            ("gpt2",),
            "--task detox --system gpt2 --setting gpt2:greedy --set gpt2.recipe.width=8 --set budget=9steps "
            "--set data.train=5",
        ),
        ("--task detox --system cosmos,gpt2", ("copy",), "--task detox --system copy"),
        ("--task detox --system cosmos,gpt2 --setting greedy", ("cosmos",), "--task detox --system cosmos"),
        ("--task detox --system gpt2 --seeds 3", (), "--task detox --system gpt2 --seeds 3"),
    ],
)
def test_only_the_systems_that_are_gated_are_made_again(typed: str, systems: tuple[str, ...], made: str) -> None:
    assert narrowed([typed.split()], PLAN, systems) == [made.split()]


def test_a_command_of_other_systems_is_left_out() -> None:
    commands = [["--task", "detox", "--system", "gpt2"], ["--task", "detox", "--system", "mdlm", "--seeds", "2"]]
    assert narrowed(commands, PLAN, ["mdlm"]) == [commands[1]]


def test_the_gate_makes_one_system_alone_in_a_process_of_its_own(
    toys: None,
    steady: None,
    unreported: None,
    installed: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    baseline, out = tmp_path / "a", tmp_path / "b"
    path = os.pathsep.join([str(OUTSIDE), str(installed)])
    with mock.patch.dict(os.environ, {"PYTHONPATH": path}):
        assert main(["run", "--task", "echo", "--system", "toy,knowing", "--out", str(baseline)]) == 0
        code = main(["gate", "--against", str(baseline), "--system", "toy", "--no-speed", "--out", str(out)])
    assert code == 0, capfd.readouterr()
    assert (out / "report" / "report.md").exists(), "this process writes no report"
    plan = store.read_plan(out)
    assert plan is not None and "toy" in plan["systems"] and "knowing" not in plan["systems"]


@pytest.mark.parametrize("rewritten", [True, False])
def test_what_an_earlier_run_left_is_not_judged_after_a_crash(
    sides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewritten: bool
) -> None:
    """Exit code 1 is that of a run with a failed cell, and of Python itself."""
    plan = store.read_plan(Path(sides[0]))
    assert plan is not None
    for folder in sides:
        store.write_plan(Path(folder), {**plan, "commands": ["python -m benchmarks run --task detox"]})

    def ended(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if rewritten:
            store.write_plan(Path(sides[1]), plan)
        return subprocess.CompletedProcess(words, 1)

    baseline = read_side(sides[0])
    monkeypatch.setattr(remaking.subprocess, "run", ended)
    if rewritten:
        assert remaking.make_again(baseline, Path(sides[1])) == sides[1]
    else:
        with pytest.raises(UserError, match="was ended by exit code 1"):
            remaking.make_again(baseline, Path(sides[1]))
