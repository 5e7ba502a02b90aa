"""Distillation as the last stage of latent diffusion: its settings, its rounds, and its students on disk.

Students are networks of the denoiser's shape, `students/<calls>.safetensors` in a checkpoint. To generate, the weights
of the one that a setting names are copied into the denoiser, so that calls are counted, compiled and recorded as its
own, and a recording reads either from where they lie. What is distilled: `cosmos.diffusion.distillation`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.contract import Budget, TrainingResult, UserError
from cosmos.config import DiffusionConfig, check_steps, check_temperature
from cosmos.diffusion.distillation import DistillationObjective
from cosmos.io import safetensors
from cosmos.io.later_fields import later
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.recipes import NO_DISTILLATION, DistillationConfig
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG
from cosmos.training import resume
from cosmos.training.batches import Batch
from cosmos.training.config import TrainingRun
from cosmos.training.loop import TrainingStage, train

FOLDER = "students"  # within a checkpoint

Clean = Callable[[Batch], tuple[Tensor, SourceStates | None]]
"""What is diffused of a batch: clean, standardised latents [B, N, C], and the source."""


@dataclass(frozen=True)
class DistilledSampling(Capturable):
    """Generate by the student of so many calls, without guidance but what it was taught with."""

    steps: int
    temperature: float = later(1.0)  # of the noise that it starts from: its deviation

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_temperature(self.temperature)


def distilled_settings() -> dict[str, DistilledSampling]:
    """By name, those of the students that are distilled unless a recipe says otherwise."""
    return {f"distilled-{calls}": DistilledSampling(calls) for calls in NO_DISTILLATION.calls}


def check_student(config: DistillationConfig, calls: int) -> None:
    """Raise `UserError` where no student of so many calls is distilled."""
    if config.share == 0:
        raise UserError("Nothing was distilled; train with a distillation.share above 0.")
    if calls not in config.calls:
        students = ", ".join(map(str, config.calls))
        raise UserError(f"There is no student of {calls} calls, but of {students}; set distillation.calls.")


def check_guided_teacher(config: DistillationConfig, diffusion: DiffusionConfig, conditional: bool) -> None:
    """Raise `UserError` where a teacher is guided and there is nothing to guide by."""
    if config.share > 0 and config.guidance != 1.0 and conditional and diffusion.source_dropout == 0:
        raise UserError(
            "A guided teacher needs a denoiser trained with some of its sources withheld; leave distillation.guidance "
            "at 1, or train with a source_dropout above 0."
        )
    if config.share > 0 and config.self_guidance != 1.0 and not diffusion.self_conditioned:
        raise UserError(
            "A self-guided teacher needs a denoiser trained with self-conditioning; leave distillation.self_guidance "
            "at 1."
        )


def distil(
    stage: TrainingStage,
    clean: Clean,
    diffusion: DiffusionConfig,
    config: DistillationConfig,
    budget: Budget,
    run: TrainingRun,
) -> tuple[dict[int, Mapping[str, Tensor]], dict[str, TrainingResult]]:
    """All rounds, each a training that is resumable and has an equal part of the budget.

    Args:
        stage: the denoiser's own, trained; it is left as it is.

    Returns:
        The weights of every student, on the CPU, by its number of calls; and what each round cost, by its name.
    """
    original, student = _frozen(stage.network), copy.deepcopy(stage.network)
    teacher, teacher_calls, first = original, config.teacher_calls, True
    students, results = {}, {}
    for calls in config.calls:
        objective = DistillationObjective(
            teacher, diffusion, config, teacher_calls=teacher_calls, calls=calls, first=first
        )
        name = f"distilled-{calls}"
        own = replace(
            stage,
            name=name,
            network=student,
            loss=partial(_loss, objective, clean),
            validation_loss=None,
            frozen=(*stage.frozen, teacher),
            stream=name,  # so that no step repeats the noise of one that the teacher was fitted with
        )
        results[name] = train(own, config.training, budget.part(1.0 / len(config.calls)), run)
        students[calls] = {key: value.detach().cpu().clone() for key, value in resume.weights(student).items()}
        if config.method == "progressive":
            teacher, teacher_calls, first = _frozen(student), calls, False
    return students, results


def _frozen(network: nn.Module) -> Denoiser:
    copied: Denoiser = copy.deepcopy(network).eval().requires_grad_(False)
    return copied


def _loss(
    objective: DistillationObjective, clean: Clean, student: Denoiser, batch: Batch, seeds: CounterRNG
) -> tuple[Tensor, Tensor]:
    latents, source = clean(batch)
    return objective(student, latents, seeds, source)


def save_students(folder: Path, students: Mapping[int, Mapping[str, Tensor]]) -> None:
    for calls, tensors in students.items():
        safetensors.save(_place(folder, calls), tensors, {"calls": calls})


def check_students(folder: Path, config: DistillationConfig, denoiser: Callable[[], nn.Module]) -> None:
    """Verify the files of all students from their headers; `denoiser` makes their network, here on the meta device.

    Raises:
        UserError: missing, truncated, not safetensors, or of another configuration.
    """
    if config.share > 0:
        with torch.device("meta"):
            shapes = _shapes(denoiser())
        for calls in config.calls:
            safetensors.check(_place(folder, calls), shapes)


def _place(folder: Path, calls: int) -> Path:
    return folder / FOLDER / f"{calls}.safetensors"


def _shapes(denoiser: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in resume.weights(denoiser).items()}


class DenoiserWeights:
    """Whose weights a loaded denoiser has: its own, or those of a student of its checkpoint.

    Args:
        folder: the checkpoint; None where there is none, as for random weights, and then it keeps its own.
    """

    def __init__(self, denoiser: nn.Module, folder: Path | None) -> None:
        self.denoiser, self.folder, self.calls = denoiser, folder, 0
        self._read: dict[int, Mapping[str, Tensor]] = {}  # on the CPU, by calls; the denoiser's own are those of 0

    def use(self, calls: int) -> None:
        """Put in the weights of the student of so many calls, or with 0 the denoiser's own; nothing if they are in."""
        if calls == self.calls or self.folder is None:
            return
        if not self._read:
            self._read[0] = {name: value.cpu().clone() for name, value in resume.weights(self.denoiser).items()}
        if calls not in self._read:
            self._read[calls] = safetensors.load(_place(self.folder, calls), _shapes(self.denoiser))
        resume.load_weights(self.denoiser, self._read[calls])
        self.calls = calls
