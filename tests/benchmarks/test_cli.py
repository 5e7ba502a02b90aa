"""The command line: exit codes, one sentence on stderr, nothing lost, verbs end to end."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]
RUN = ("run", "--task", "echo", "--device", "cpu")


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of stderr of a refused command."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    return lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rnu",), "did you mean run"),
        (("run",), "--task"),
        (("run", "--task", "detxo"), "did you mean detox"),
        (("run", "--tsk", "detox"), "did you mean --task"),
        (("run", "detox"), "Cannot place the word 'detox'"),
        (("run", "--task"), "expected one argument"),
        ((*RUN, "--system", "tyo"), "did you mean toy"),
        ((*RUN, "--preset", "nanno"), "did you mean nano"),
        ((*RUN, "--source", "wrld"), "did you mean world"),
        ((*RUN, "--set", "data.tets=3"), "did you mean data.test"),
        ((*RUN, "--set", "data.test=three"), "data.test must be a whole number, not 'three'"),
        ((*RUN, "--set", "toy.recipe.bias=maybe"), "true or false"),
        ((*RUN, "--set", "data.test"), "key=value"),
        ((*RUN, "--limit", "0"), "--limit must be at least 1"),
        ((*RUN, "--limit", "many"), "--limit must be a whole number or none"),
        ((*RUN, "--seeds", "0"), "--seeds must be at least 1"),
        ((*RUN, "--seed", "-1"), "--seed must not be negative"),
        ((*RUN, "--steps", "4,0"), "--steps must be at least 1"),
        ((*RUN, "--device", "cuda:99"), "The device cuda:99 is not there"),
        ((*RUN, "--device", "tpu"), "Unknown device"),
        (("score", "--out", "nowhere-at-all"), "holds no run"),
        (("show", "toy", "--out", "nowhere-at-all"), "holds no run"),
        (("report",), "--task"),
        (("list", "task"), "did you mean tasks"),
        (("list", "presets", "--system", "toyy"), "did you mean toy"),
        (("list", "metrics", "--source", "wrld"), "did you mean world"),
        (("doctor", "--source", "wrld"), "did you mean world"),
        ((*RUN, "--setting", "fats"), "did you mean fast"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    command: Command, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    assert said in sentence(command(*words, cwd=tmp_path))
    assert not list(tmp_path.iterdir())  # nothing was begun


def test_a_broken_toml_is_named_with_its_line(process: Command, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('task = "echo"\nseed = \n')
    said = sentence(process("run", "--config", "run.toml", cwd=tmp_path))
    assert "run.toml is not TOML" in said
    assert "line 2" in said


def test_folders_that_cannot_hold_a_run(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in sentence(command(*RUN, "--out", "file", cwd=tmp_path))
    assert "Not a directory" in sentence(command(*RUN, "--out", "file/below", cwd=tmp_path))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("mine")
    assert "Not a directory" in sentence(command("plan", *RUN[1:], "--out", "file/below", cwd=tmp_path))
    assert "holds other things" in sentence(command(*RUN, "--out", "home", cwd=tmp_path))
    assert "Cannot write" in sentence(command(*RUN, "--out", "/proc/run", cwd=tmp_path))


def test_the_verbs_one_after_the_other(command: Command, tmp_path: Path) -> None:
    flags = ("--task", "echo", "--out", "run", "--device", "cpu", "--system", "toy,knowing", "--set", "batch_size=4")
    plan = command("plan", *flags, cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.count("to do\n") == 3
    assert not (tmp_path / "run").exists()
    assert "not trained yet" in sentence(command("generate", *flags, cwd=tmp_path))
    assert command("fit", *flags, cwd=tmp_path).returncode == 0
    assert command("generate", *flags, cwd=tmp_path).returncode == 0
    assert not list((tmp_path / "run").rglob("scores.jsonl"))
    assert "done\n" in command("plan", *flags, cwd=tmp_path).stdout
    assert command("score", "--out", "run", cwd=tmp_path).returncode == 0
    assert len(list((tmp_path / "run").rglob("scores.jsonl"))) == 3

    shown = command("show", "--out", "run", cwd=tmp_path).stdout.splitlines()
    assert len(shown) == 3
    one = command("show", shown[0][:8], "--out", "run", "--limit", "2", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    for part in (
        "make again: python -m benchmarks run --task echo",
        "recipe.rate.start = 0.1",
        "copy_rate",
    ):
        assert part in one.stdout
    assert one.stdout.count("source  word test") == 2
    assert "did you mean toy" in sentence(command("show", "tyo", "--out", "run", cwd=tmp_path))

    scored = next((tmp_path / "run").rglob("scores.jsonl"))
    before = scored.read_bytes()
    assert "did you mean copy_rate" in sentence(command("score", "--out", "run", "--metric", "copyrate", cwd=tmp_path))
    assert command("score", "--out", "run", "--metric", "length", cwd=tmp_path).returncode == 0
    assert scored.read_bytes() == before
    assert command("score", "--out", "run", "--metric", "length,bleu", cwd=tmp_path).returncode == 0
    names = [json.loads(line)["metric"] for line in scored.read_text().splitlines()]
    assert names == ["copy_rate", "length", "bleu", "bleu_copy"]


def test_other_settings_on_one_folder_are_refused(command: Command, tmp_path: Path) -> None:
    assert command("fit", *RUN[1:], "--out", "run", cwd=tmp_path).returncode == 0
    said = sentence(command("fit", *RUN[1:], "--out", "run", "--set", "data.train=5", cwd=tmp_path))
    assert "data.train = 6, and this command says data.train = 5: go on with --set data.train=6" in said


def test_a_run_ends_with_a_table_and_the_paths_of_the_report(command: Command, tmp_path: Path) -> None:
    done = command(*RUN, "--system", "toy,broken,knowing", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "toy" in done.stdout
    for kind in ("markdown", "latex", "html", "figure"):
        path = next(line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith(f"{kind}: "))
        assert (tmp_path / path).stat().st_size > 100
    assert path.startswith("runs/echo-lines-nano/report/")
    assert done.stderr.splitlines()[-1].startswith("broken fast seed 0")
    assert command("report", "--task", "echo", cwd=tmp_path).returncode == 0


def test_a_run_in_which_nothing_comes_to_its_end_says_why(command: Command, process: Command, tmp_path: Path) -> None:
    done = process(*RUN, "--system", "broken", "--out", "run", cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    said, _, where = last.partition(" (traceback: ")
    assert said.endswith("failed: RuntimeError: no memory left")
    assert (tmp_path / where.removesuffix(")")).read_text().rstrip().endswith("on this device")
    assert "Traceback" not in done.stderr
    assert command(*RUN, "--system", "fussy", "--out", "run", cwd=tmp_path).returncode == 2


def test_listings_and_the_doctor(command: Command, tmp_path: Path) -> None:
    assert re.search(r"^toy +offered by the package toy-contestants$", command("list", "systems").stdout, re.MULTILINE)
    assert (
        "nano (10steps), small (10steps); settings: default, fast"
        in command("list", "presets", "--system", "toy").stdout
    )
    settings = command("list", "settings", "--system", "toy").stdout
    assert re.search(r"^  setting +steps\n\* default +\d+\n\* fast +1\n(.+\n)*  slow-9 +9$", settings, re.MULTILINE)
    assert "toy; pause_seconds=0\n" in settings
    assert "data.train=4000" in command("list", "sources").stdout
    assert "Mean number of words; a blank text has 0. [cosmos-bench]\n" in command("list", "metrics").stdout
    doctor = command("doctor", "--out", str(tmp_path))
    assert doctor.returncode == 0, doctor.stdout
    assert "The default run can work here." in doctor.stdout
    assert any(line.split()[1:4] == ["compilations", "kept", "in"] for line in doctor.stdout.splitlines())
    assert command("doctor", "--device", "cuda:99").returncode == 1
