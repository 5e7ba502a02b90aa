"""Single cells: listed for other schedulers, made one by one and beside each other, and put together."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.records import store

Command = Callable[..., subprocess.CompletedProcess[str]]
FLAGS = ("--task", "echo", "--device", "cpu", "--seeds", "2", "--limit", "7")

pytestmark = pytest.mark.usefixtures("steady", "unreported")


@pytest.fixture
def listed(command: Command, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """The lines of `plan --format jsonl`."""

    def rows(*words: str) -> list[dict[str, Any]]:
        done = command("plan", *FLAGS, *words, "--format", "jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return rows


def given(command: Command, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of a line, as a scheduler gives it."""
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "benchmarks"]
    return command(*words[3:], cwd=folder)


def files(folder: Path) -> dict[str, bytes]:
    """What may not depend on who made a cell: samples by cell, and scores."""
    names = (store.SAMPLES, store.SCORES, store.AS_WRITTEN)
    return {str(path.relative_to(folder)): path.read_bytes() for name in names for path in folder.rglob(name)}


def test_lines_name_the_cells_of_a_plan_in_its_order_and_what_they_wait_for(
    listed: Callable[..., list[dict[str, Any]]], command: Command, tmp_path: Path
) -> None:
    rows = listed("--out", "run")
    assert {row["state"] for row in rows} == {"to do"} and not any(row["trained"] for row in rows)
    assert [row["needs"]["gpus"] for row in rows] == [0] * len(rows)
    by_checkpoint: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_checkpoint.setdefault(row["needs"]["checkpoint"], []).append(row)
    for first, *others in by_checkpoint.values():
        assert first["needs"]["after"] is None
        assert {row["needs"]["after"] for row in others} <= {first["cell"]}
    assert any(len(group) > 1 for group in by_checkpoint.values())
    assert command("run", *FLAGS, "--out", "run", cwd=tmp_path).returncode == 0
    assert [row["cell"] for row in rows] == [record.header.cell.id for record in store.read_run(tmp_path / "run")]
    rows = listed("--out", "run")
    assert {row["state"] for row in rows} == {"done"} and all(row["trained"] for row in rows)
    assert all(row["needs"]["bytes"]["cell"] > 0 and row["needs"]["seconds"]["generate"] > 0 for row in rows)


def test_cells_that_were_made_one_by_one_are_those_of_one_command(
    listed: Callable[..., list[dict[str, Any]]], command: Command, tmp_path: Path
) -> None:
    assert command("run", *FLAGS, "--out", "whole", cwd=tmp_path).returncode == 0
    rows = listed("--out", "single")
    for number, row in enumerate(reversed(rows), start=1):
        done = given(command, row["commands"]["run"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(store.read_run(tmp_path / "single")) == number, "a command for one cell made another"
    assert files(tmp_path / "single") == files(tmp_path / "whole")
    plans = [store.read_plan(tmp_path / name) for name in ("single", "whole")]
    assert plans[0] is not None and plans[1] is not None and plans[0]["cells"] == plans[1]["cells"]


def test_folders_of_single_checkpoints_are_merged_into_the_run_of_one_command(
    listed: Callable[..., list[dict[str, Any]]], command: Command, tmp_path: Path
) -> None:
    assert command("run", *FLAGS, "--out", "whole", cwd=tmp_path).returncode == 0
    parts = dict.fromkeys(row["needs"]["checkpoint"] for row in listed())
    for part in parts:
        for row in listed("--out", f"parts/{part}"):
            if row["needs"]["checkpoint"] == part:
                assert given(command, row["commands"]["run"], tmp_path).returncode == 0
    done = command("merge", *(f"parts/{part}" for part in parts), "--out", "both", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "both") == files(tmp_path / "whole")


def test_a_line_says_what_trains_first_and_a_cell_alone_trains_what_it_needs(
    listed: Callable[..., list[dict[str, Any]]], command: Command, tmp_path: Path
) -> None:
    rows = listed("--out", "run", "--system", "toy")
    second = next(row for row in rows if row["needs"]["after"] is not None)
    refused = given(command, second["commands"]["generate"], tmp_path)
    assert refused.returncode == 2 and "is not trained yet" in refused.stderr
    first = next(row for row in rows if row["cell"] == second["needs"]["after"])
    assert given(command, first["commands"]["fit"], tmp_path).returncode == 0
    assert given(command, second["commands"]["generate"], tmp_path).returncode == 0
    (state,) = (row["state"] for row in listed("--out", "run", "--system", "toy") if row["cell"] == second["cell"])
    assert state == "done"


def test_a_gpu_of_another_machine_is_planned_and_not_run(
    listed: Callable[..., list[dict[str, Any]]], command: Command, tmp_path: Path
) -> None:
    here, there = listed(), listed("--device", "cuda:99")
    assert {row["needs"]["gpus"] for row in there} == {1}
    four = "cuda:96,cuda:97,cuda:98,cuda:99"
    for row in listed("--device", "cuda", "--devices", four):
        assert row["needs"]["gpus"] == 4 and f"--devices {four}" in row["commands"]["generate"]
    assert not {row["cell"] for row in here} & {row["cell"] for row in there}
    done = given(command, there[0]["commands"]["run"], tmp_path)
    assert done.returncode == 2 and "cuda:99 is not there" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cell", "zzzz"), "No cell of these flags has the id zzzz"),
        (("--cell", "a"), "at least the first 4 digits"),
    ],
)
def test_a_cell_that_is_none_is_said(command: Command, words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = command("run", *FLAGS, *words, "--out", "run", cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_an_unknown_format_is_said(command: Command, tmp_path: Path) -> None:
    done = command("plan", *FLAGS, "--format", "json", cwd=tmp_path)
    assert done.returncode == 2 and "did you mean jsonl" in done.stderr
