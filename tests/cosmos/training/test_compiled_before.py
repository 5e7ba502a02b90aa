"""A stage whose network an earlier stage of the run has compiled is charged less for it, whoever takes it up.

Nothing is compiled here: what would be is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cosmos.runtime import compilation
from cosmos.training import preparation
from cosmos.training.batches import Batch, Rows
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig, TrainingResult, TrainingRun
from cosmos.training.loop import TrainingStage, train
from cosmos.training.step import OptimiserStep

AUTO: dict[str, Any] = {"compile": "auto", "batch_size": 4, "validations": 0}
STEP_FLOPS = 2 * 2.0 * 4 * 3 * 2  # of 4 rows through a layer of 3 x 2, and of its gradient
STEP_SECONDS = 10.0  # that it takes at the machine's pace
ENOUGH = 20  # steps: compiled if anything is
SHORT = 5  # steps: compiled where the network was before


class Numbers:
    def __len__(self) -> int:
        return 8

    def batch(self, index: Tensor) -> Rows:
        return {"x": index[:, None].float().expand(-1, 3)}


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that compiles, in no time, and is so slow that few steps are a long training."""
    monkeypatch.setattr(OptimiserStep, "can_compile", lambda step: step.config.compile is not False)
    monkeypatch.setattr(compilation, "compile_blocks", lambda *_, **__: [])
    monkeypatch.setattr(compilation, "_compiled_function", lambda function, *_: function)
    monkeypatch.setattr(preparation, "FLOPS_PER_SECOND", STEP_FLOPS / STEP_SECONDS)


def fit(folder: Path, name: str, steps: int, width: int = 2, made_of: str = "", **changes: Any) -> Mapping[str, Any]:
    """How the steps of a stage ran; a network of another width is another."""

    def loss(model: nn.Module, batch: Batch, _: object) -> tuple[Tensor, Tensor]:
        return model(batch["x"]).square().sum(), torch.tensor(4.0)

    stage = TrainingStage(name, nn.Linear(3, width), loss, Numbers(), stream=name)
    run = TrainingRun(folder, 1, "cpu", made_of=made_of)
    trained: TrainingResult = train(stage, TrainingConfig(**{**AUTO, **changes}), Budget(steps, "steps"), run)
    notes: Mapping[str, Any] = trained.notes.get("preparation", {"compiled": False})
    return notes


def test_a_student_is_compiled_where_its_teacher_was(tmp_path: Path) -> None:
    assert not fit(tmp_path / "alone", "student", SHORT)["compiled"]
    assert fit(tmp_path / "run", "teacher", ENOUGH)["compiled"]
    assert fit(tmp_path / "run", "student", SHORT)["compiled"]


@pytest.mark.parametrize(
    "other", [{"width": 3}, {"made_of": "other texts"}, {"batch_size": 8}, {"micro_batch_size": 2}]
)
def test_another_network_or_other_batches_are_compiled_anew(other: dict[str, Any], tmp_path: Path) -> None:
    assert fit(tmp_path, "other", ENOUGH, **other)["compiled"]
    assert not fit(tmp_path, "student", SHORT)["compiled"]


def test_one_that_was_not_compiled_is_not_known(tmp_path: Path) -> None:
    assert not fit(tmp_path, "teacher", ENOUGH, compile=False)["compiled"]
    assert not fit(tmp_path, "student", SHORT)["compiled"]


def test_what_another_run_of_the_process_compiled_does_not_count(tmp_path: Path) -> None:
    """Or a system would be trained in another way after others than alone."""
    assert fit(tmp_path / "one", "teacher", ENOUGH)["compiled"]
    assert not fit(tmp_path / "other", "student", SHORT)["compiled"]


class KilledError(Exception):
    """Ends a training from outside."""


def test_a_killed_stage_chooses_again_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has left a resume point, by what lies in the folder alone: a new process has compiled nothing."""
    chosen: list[bool] = []
    prepare = OptimiserStep.prepare

    def noted(step: OptimiserStep, prepared: preparation.Preparation, frozen: Any) -> None:
        chosen.append(prepared.compiled)
        prepare(step, prepared, frozen)

    def killed(*_: Any) -> None:
        raise KilledError

    monkeypatch.setattr(OptimiserStep, "prepare", noted)
    assert fit(tmp_path, "teacher", ENOUGH)["compiled"]
    with monkeypatch.context() as patched:
        patched.setattr(OptimiserStep, "_step", killed)
        with pytest.raises(KilledError):
            fit(tmp_path, "student", SHORT)
    assert not (tmp_path / "student.resume.safetensors").exists()
    assert fit(tmp_path, "student", SHORT)["compiled"]
    assert chosen == [True, True, True]
