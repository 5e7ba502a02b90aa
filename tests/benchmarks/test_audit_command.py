"""`python -m benchmarks audit`: exit codes, what can be told without a checkpoint, and bad input in one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.records import seals, store

Command = Callable[..., subprocess.CompletedProcess[str]]
WORDS = ("--task", "echo", "--device", "cpu", "--set", "data.test=8", "--set", "batch_size=4")


@pytest.fixture
def run(copy_of_run: Callable[..., Path], tmp_path: Path) -> Path:
    """A run of the outside package's system."""
    return copy_of_run(tmp_path / "run", "run", *WORDS, "--system", "toy", "--setting", "default")


def outcomes(said: str) -> dict[str, str]:
    """Check -> outcome, as printed."""
    lines = [line.strip().split(": ") for line in said.splitlines() if line.startswith("  ")]
    return {line[1]: line[0] for line in lines}


def test_an_audit_says_of_each_check_what_it_saw(command: Command, run: Path, tmp_path: Path) -> None:
    """The toy's networks work on no tensors, so which weights worked cannot be told, and nothing is wrong."""
    done = command("audit", str(run), "--json", str(tmp_path / "seen.json"))
    seen = outcomes(done.stdout)
    assert "found" not in seen.values(), done.stdout
    assert seen["network calls"] == "cannot tell"
    for check in ("timed texts", "single texts", "untimed texts", "batch sizes", "lengths", "plain answers"):
        assert seen[check] == "holds", done.stdout
    assert done.returncode == 2
    rows = json.loads((tmp_path / "seen.json").read_text())["findings"]
    assert {row["check"]: row["outcome"] for row in rows} == seen
    assert "1 cell," in done.stdout


def test_texts_that_depend_on_company_are_found(
    command: Command, steady: None, unreported: None, tmp_path: Path
) -> None:
    folder = tmp_path / "moody"
    assert command("run", *WORDS, "--system", "moody", "--out", str(folder)).returncode == 0
    done = command("audit", str(folder), "moody")
    assert done.returncode == 1
    seen = outcomes(done.stdout)
    assert seen["batch sizes"] == seen["single texts"] == "found"
    assert "4 of 4 texts differ (100%) at batch 1 from those at 4" in done.stdout


def test_records_alone_cannot_tell_everything(command: Command, run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    done = command("audit", str(run))
    assert done.returncode == 2
    seen = outcomes(done.stdout)
    assert seen["timed texts"] == "holds"
    assert seen["system"] == "cannot tell"
    assert "no checkpoint" in done.stdout


def test_timed_texts_that_are_not_the_scored_ones_are_found(command: Command, run: Path) -> None:
    """Whoever writes the records, seals and all, has to make the hashes of timed texts agree too."""
    [header] = store.read_headers(run)
    folder = store.cell_folder(run, header.cell.id)
    rows = [json.loads(line) for line in (folder / store.SAMPLES).read_text().splitlines()]
    rows[0]["text"] += " and more"
    (folder / store.SAMPLES).write_text("".join(json.dumps(row) + "\n" for row in rows))
    store.write_header(folder, replace(header, files=seals.file_hashes(folder, store.SEALED)))
    (folder / store.SCORES).unlink()
    done = command("audit", str(run))
    assert done.returncode == 1, done.stdout + done.stderr
    assert outcomes(done.stdout)["timed texts"] == "found"


def test_a_changed_project_is_said(command: Command, run: Path) -> None:
    [header] = store.read_headers(run)
    folder = store.cell_folder(run, header.cell.id)
    store.write_header(folder, replace(header, command=header.command.replace("batch_size=4", "batch_size=3")))
    done = command("audit", str(run))
    assert done.returncode == 2
    assert "makes another cell now" in done.stdout
    store.write_header(folder, replace(header, command="rm 'unfinished"))
    done = command("audit", str(run))
    assert done.returncode == 2
    assert "says no command" in done.stdout


def test_no_time_is_said(command: Command, run: Path) -> None:
    done = command("audit", str(run), "--seconds", "0.0000001")
    assert done.returncode == 2
    assert outcomes(done.stdout)["repeats"] == "cannot tell"
    assert "no time was left" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "holds no run"),
        (("{run}", "nobody"), "nobody"),
        (("{run}", "--texts", "0"), "--texts must be a positive whole number"),
        (("{run}", "--texts", "many"), "--texts must be a positive whole number"),
        (("{run}", "--seconds", "nan"), "--seconds must be a positive number"),
        (("{run}", "--seconds", "inf"), "--seconds must be a positive number"),
        (("{run}", "--capture", "grph"), "graph"),
        (("{run}", "ünïcode\u202e"), "done cell"),
    ],
)
def test_bad_input_is_one_sentence(command: Command, run: Path, words: tuple[str, ...], said: str) -> None:
    done = command("audit", *(word.format(run=run) for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_without_a_done_cell(command: Command, run: Path) -> None:
    for header in store.read_headers(run):
        shutil.rmtree(store.cell_folder(run, header.cell.id))
    done = command("audit", str(run))
    assert done.returncode == 2
    assert "nothing to audit" in done.stderr
