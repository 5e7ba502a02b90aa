"""What a gate cannot do, it says in one sentence, or as what cannot be judged: exit code 2."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.records import seals, store
from benchmarks.tracking.gate import code_trees, remaking
from benchmarks.tracking.sides import read_side

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def baseline(copy_of_run: Callable[..., Path], tmp_path: Path) -> Path:
    """A run of the outside package's task."""
    return copy_of_run(tmp_path / "baseline", "run", "--task", "echo")


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that an error is."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--against", "nowhere"), "nowhere is neither a folder nor a git commit"),
        (("--against", ""), "A side of a comparison is empty"),
        ((), "The following arguments are required: --against"),
        (("--against", "x", "--processes", "1"), "--processes must be at least 3, not 1"),
        (("--against", "x", "--rounds", "2"), "--rounds must be at least 5, not 2"),
        (("--against", "x", "--rounds", "ten"), "--rounds must be a whole number, not 'ten'."),
        (("--against", "x", "--minutes", "0"), "--minutes must be above 0, not 0."),
        (("--against", "x", "--minutes", "inf"), "--minutes must be above 0, not inf."),
        (("--against", "x", "--set", "gate.bluu=1"), "Unknown metric of [gate] in --set 'bluu'; did you mean bleu"),
        (("--against", "x", "--set", "gate.bleu=-1"), "gate.bleu in --set must be a number that is not negative"),
        (("--against", "x", "--set", "data.train=1"), "Unknown key of --set 'data.train'"),
        (("--against", "x", "--config", "nowhere.toml"), "Cannot read the configuration nowhere.toml"),
        (("--against", "x", "--junit", "/"), "/ is a folder; name a file with --junit."),
        (
            ("--against", "x", "--jnit", "y"),
            "Unknown flag of python -m benchmarks gate '--jnit'; did you mean --junit",
        ),
    ],
)
def test_a_wrong_word_is_one_sentence(command: Command, words: tuple[str, ...], said: str) -> None:
    assert sentence(command("gate", *words)).startswith(said)


def test_a_wrong_table_is_one_sentence(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "plän.toml"
    file.write_text("[gate]\nbleu = -2\n")
    said = sentence(command("gate", "x", "--against", "y", "--config", str(file)))
    assert said.startswith(f"gate.bleu in {file} must be a number that is not negative")


def test_an_unknown_system_and_an_empty_folder(command: Command, baseline: Path, tmp_path: Path) -> None:
    said = sentence(command("gate", str(baseline), "--against", str(baseline), "--system", "toyy"))
    assert said.startswith(f"Unknown system of {baseline} 'toyy'; did you mean toy?")
    (tmp_path / "empty").mkdir()
    assert "holds no run" in sentence(command("gate", str(tmp_path / "empty"), "--against", str(baseline)))


@pytest.mark.parametrize("name", [store.HEADER, store.SAMPLES, store.SCORES])
def test_a_damaged_record_is_one_sentence(command: Command, baseline: Path, tmp_path: Path, name: str) -> None:
    run = shutil.copytree(baseline, tmp_path / "run")
    damaged = next((run / "cells").iterdir()) / name
    damaged.write_bytes(damaged.read_bytes()[40:])
    assert str(damaged) in sentence(command("gate", str(run), "--against", str(baseline)))


def test_a_run_against_itself_passes(command: Command, baseline: Path, tmp_path: Path) -> None:
    report = tmp_path / "gate.xml"
    done = command("gate", str(baseline), "--against", str(baseline), "--junit", str(report), "--no-speed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("gate: pass (")
    assert report.read_bytes().startswith(b"<?xml")


def test_few_texts_without_their_samples_cannot_be_judged(command: Command, baseline: Path, tmp_path: Path) -> None:
    """Scores alone do not say that the texts were the same, and 23 rule no small loss out."""
    run = shutil.copytree(baseline, tmp_path / "run")
    for cell in (run / "cells").iterdir():
        (cell / store.SAMPLES).unlink()
    done = command("gate", str(run), "--against", str(run), "--no-speed")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "do not rule out a loss of up to" in done.stdout and "gate --plan says how many do" in done.stdout


def changed(run: Path, name: str | None = None, **fields: object) -> None:
    """Have all headers of a run say something else, and be of a machine with another `name` if one is given."""
    for folder in (run / "cells").iterdir():
        header = store.read_header(folder)
        assert header is not None
        device = {**header.device, **({} if name is None else {"name": name})}
        store.write_header(folder, dataclasses.replace(header, device=device, **fields))  # type: ignore[arg-type]


def test_a_baseline_with_uncommitted_changes_has_no_code_to_be_timed(
    command: Command, baseline: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(baseline, tmp_path / "run")
    changed(baseline, "another processor", commit="0" * 40, dirty=True)
    done = command("gate", str(run), "--against", str(baseline))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "The baseline was made by commit 0000000000 with uncommitted changes" in done.stdout


def test_a_baseline_of_no_known_commit_has_no_code_to_be_timed(
    command: Command, baseline: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(baseline, tmp_path / "run")
    changed(baseline, "another processor", commit=None, dirty=None)
    done = command("gate", str(run), "--against", str(baseline))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "The baseline does not say which commit made it" in done.stdout


def test_another_tokenizer_cannot_be_judged(command: Command, baseline: Path, tmp_path: Path) -> None:
    run = shutil.copytree(baseline, tmp_path / "run")
    changed(run, tokenizer={"name": "another", "sha256": "0" * 64})
    done = command("gate", str(run), "--against", str(baseline), "--no-speed")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "tokenizer “" in done.stdout and "against “another” (00000000)" in done.stdout


def test_a_cell_that_fails_now_is_a_regression(command: Command, baseline: Path, tmp_path: Path) -> None:
    run = shutil.copytree(baseline, tmp_path / "run")
    plan = store.read_plan(run)
    assert plan is not None
    folder = store.cell_folder(run, plan["cells"][0])
    header = store.read_header(folder)
    assert header is not None
    store.write_header(folder, dataclasses.replace(header, status="failed", reason="no memory left"))
    done = command("gate", str(run), "--against", str(baseline), "--no-speed")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regression: cell of toy: it fails now: no memory left" in done.stdout


def test_code_is_checked_out_only_where_git_has_it(tmp_path: Path) -> None:
    said = "is not in a git repository, so the code of 0000000000 cannot be checked out"
    with pytest.raises(UserError, match=said), code_trees.checked_out("0" * 40, tmp_path):
        pass
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    said = "does not have the commit 0000000000; fetch it"
    with pytest.raises(UserError, match=said), code_trees.checked_out("0" * 40, tmp_path):
        pass


def test_a_run_is_not_made_over_its_baseline_nor_without_its_command(baseline: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is the baseline itself; choose another folder with --out"):
        remaking.make_again(read_side(str(baseline)), baseline)
    plan = json.loads((baseline / store.PLAN).read_text())
    plan.pop(seals.KEY)
    store.write_plan(baseline, {**plan, "commands": []})
    with pytest.raises(UserError, match="does not say how it was made"):
        remaking.make_again(read_side(str(baseline)), tmp_path / "new")
