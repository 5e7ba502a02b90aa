"""Systems that several processes train together: the losses of one, whoever goes on with whatever they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

import cosmos

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import SYSTEMS

PROGRAM = Path(__file__).with_name("launched_systems.py")
CLOSE = 1e-5
# A student begins as its teacher and its loss near nothing, which AdamW at a rate of 0.01 makes steps of full size of:
# rounding grows a hundredfold in a few steps. Its first loss is as close as any.
STUDENTS, STUDENTS_CLOSE = ("distilled", "duo-distillation"), 2e-2


def train(folder: Path, encoder: Path, names: Sequence[str], *words: object, parts: bool = False) -> str:
    """Run the program; `parts`: each process holds a part of the weights."""
    environment = {
        **os.environ, "PYTHONPATH": str(Path(cosmos.__file__).parent.parent), "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1", "TORCH_CPP_LOG_LEVEL": "ERROR",
        "ACCELERATE_USE_FSDP": str(parts).lower(),
    }  # fmt: skip
    command = [sys.executable, str(PROGRAM), str(folder), str(encoder), *names, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def curves(folder: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of each training's log, without what time it was."""
    found = {}
    for path in sorted((folder / name / "training").glob("*.jsonl")):
        lines = map(json.loads, path.read_text().splitlines())
        found[path.stem] = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
    return found


def held_together(one: Path, other: Path, names: Sequence[str]) -> None:
    """See that curves, prices and states are the same."""
    for name in names:
        alone, shared = curves(one, name), curves(other, name)
        assert alone.keys() == shared.keys() and alone
        for stage, lines in alone.items():
            assert len(lines) == len(shared[stage]) > 2, (name, stage)
            for before, after in zip(lines, shared[stage], strict=True):
                close = STUDENTS_CLOSE if stage.startswith(STUDENTS) and before["step"] > 1 else CLOSE
                assert after == pytest.approx(before, rel=close), (name, stage, before["step"])
        costs = [json.loads((folder / name / "fit.json").read_text())["fitted"] for folder in (one, other)]
        assert costs[0]["flops"] == costs[1]["flops"] and costs[0]["steps"] == costs[1]["steps"]


def test_two_processes_train_a_system_of_one_stage_and_one_of_all_stages_as_one_does(
    encoder_folder: Path, tmp_path: Path
) -> None:
    names = ("gpt2", "cosmos")
    for processes in (1, 2):
        train(tmp_path / str(processes), encoder_folder, names, "--processes", processes, "--steps", 20)
    held_together(tmp_path / "1", tmp_path / "2", names)


@pytest.mark.parametrize(
    ("first", "then"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.slow), pytest.param(3, 2, marks=pytest.mark.slow)]
)
def test_what_some_processes_leave_another_number_goes_on_with(
    first: int, then: int, encoder_folder: Path, tmp_path: Path
) -> None:
    words = ("--steps", 12)
    train(tmp_path / "whole", encoder_folder, ("mdlm",), *words)
    said = train(tmp_path / "cut", encoder_folder, ("mdlm",), *words, "--processes", first, "--stop", 7)
    assert said.count("stopped mdlm") == first
    assert (tmp_path / "cut/mdlm/training/mdlm.resume.safetensors").exists()
    train(tmp_path / "cut", encoder_folder, ("mdlm",), *words, "--processes", then)
    held_together(tmp_path / "whole", tmp_path / "cut", ("mdlm",))


@pytest.mark.slow
def test_parts_of_weights_that_two_processes_leave_one_goes_on_with(encoder_folder: Path, tmp_path: Path) -> None:
    words = ("--steps", 12)
    train(tmp_path / "whole", encoder_folder, ("gpt2",), *words)
    for first, then in ((2, 1), (1, 2)):
        folder = tmp_path / str(first)
        train(folder, encoder_folder, ("gpt2",), *words, "--processes", first, "--stop", 7, parts=True)
        train(folder, encoder_folder, ("gpt2",), *words, "--processes", then, parts=True)
        held_together(tmp_path / "whole", folder, ("gpt2",))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SYSTEMS))
@pytest.mark.parametrize(("processes", "parts"), [(2, False), (3, False), (2, True)], ids=["2", "3", "2-parts"])
def test_every_system_trains_to_the_curve_of_one(
    name: str, processes: int, parts: bool, encoder_folder: Path, tmp_path: Path
) -> None:
    train(tmp_path / "one", encoder_folder, (name,))
    train(tmp_path / "more", encoder_folder, (name,), "--processes", processes, parts=parts)
    held_together(tmp_path / "one", tmp_path / "more", (name,))
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.safetensors"))
    assert files == sorted(path.relative_to(tmp_path / "more") for path in (tmp_path / "more").rglob("*.safetensors"))
    for file in files:
        one, more = load_file(tmp_path / "one" / file), load_file(tmp_path / "more" / file)
        assert {key: value.shape for key, value in one.items()} == {key: value.shape for key, value in more.items()}
