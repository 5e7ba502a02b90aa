"""Distillation as the last stage of latent diffusion: its settings, its rounds, and its students on disk.

Students are networks of the denoiser's shape: `students/<calls>.safetensors` in a checkpoint, and those of further
methods `students/<method>-<calls>.safetensors`. To generate, the weights of the one that a setting names are copied
into the denoiser, so that calls are counted, compiled and recorded as its own, and a recording reads either from where
they lie. What is distilled: `cosmos.diffusion.distillation`, `cosmos.diffusion.moment_matching`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from baselines.contract import Budget, TrainingResult, UserError
from cosmos.config import DiffusionConfig, check_steps, check_temperature
from cosmos.diffusion.distillation import DistillationObjective, moment_matching
from cosmos.diffusion.moment_matching import MatchedPair
from cosmos.io import safetensors
from cosmos.io.errors import unknown
from cosmos.io.later_fields import later
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.recipes import NO_DISTILLATION, DistillationConfig, DistillationMethod
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
    temperature: float = later(1.0)  # of the noise that it starts from, and that its steps add: its deviation
    method: DistillationMethod | None = later()  # that taught it; None: the recipe's first

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_temperature(self.temperature)
        if self.method is not None and self.method not in get_args(DistillationMethod):
            raise unknown("method of distillation", self.method, get_args(DistillationMethod))


def distilled_settings() -> dict[str, DistilledSampling]:
    """By name, those of the students that are distilled unless a recipe says otherwise."""
    return {f"distilled-{calls}": DistilledSampling(calls) for calls in NO_DISTILLATION.calls}


class Student(NamedTuple):
    """Which student of a checkpoint."""

    method: DistillationMethod
    calls: int

    def name(self, config: DistillationConfig) -> str:
        """Of its file and, after "distilled-", of its round: the calls alone, if the method is the recipe's first."""
        return str(self.calls) if self.method == config.method else f"{self.method}-{self.calls}"


def student_name(setting: object, config: DistillationConfig) -> str:
    """That of the student whom a setting means; empty where it means none."""
    if not isinstance(setting, DistilledSampling):
        return ""
    return Student(setting.method or config.method, setting.steps).name(config)


def students_of(config: DistillationConfig) -> tuple[Student, ...]:
    """All that a recipe teaches, in the order of their rounds."""
    return tuple(Student(method, calls) for method in config.methods for calls in config.calls)


def trained_networks(config: DistillationConfig, denoiser: nn.Module) -> list[nn.Module]:
    """What the rounds train, in its size; weights that are not the denoiser's have shapes alone."""
    pairs = [MatchedPair(denoiser, copy.deepcopy(denoiser).to("meta"))] if "moments" in config.methods else []
    return [*pairs, denoiser] if {*config.methods} != {"moments"} else [*pairs]


def check_student(config: DistillationConfig, setting: DistilledSampling) -> None:
    """Raise `UserError` where no student of so many calls, or by that method, is distilled."""
    if config.share == 0:
        raise UserError("Nothing was distilled; train with a distillation.share above 0.")
    if setting.steps not in config.calls:
        students = ", ".join(map(str, config.calls))
        raise UserError(f"There is no student of {setting.steps} calls, but of {students}; set distillation.calls.")
    if (method := setting.method or config.method) not in config.methods:
        known = ", ".join(config.methods)
        raise UserError(f"Nothing was distilled by {method}, but by {known}; set distillation.further_methods.")


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
) -> tuple[dict[str, Mapping[str, Tensor]], dict[str, TrainingResult]]:
    """All rounds, each a training that is resumable and has an equal part of the budget.

    Args:
        stage: the denoiser's own, trained; it is left as it is.

    Returns:
        The weights of every student, on the CPU, by its name; and what each round cost, by "distilled-" and its name.
    """
    part, original = budget.part(1.0 / len(students_of(config))), _frozen(stage.network)
    students, results = {}, {}
    for method in config.methods:
        rounds = _moment_rounds if method == "moments" else _path_rounds
        for calls, own, student in rounds(stage, original, clean, diffusion, replace(config, method=method)):
            name = Student(method, calls).name(config)
            # A stream of its own, so that no step repeats the noise of one that the teacher was fitted with.
            own = replace(own, name=f"distilled-{name}", stream=f"distilled-{name}")
            results[own.name] = train(own, config.training_by(method), part, run)
            students[name] = {key: value.detach().cpu().clone() for key, value in resume.weights(student).items()}
    return students, results


Round = tuple[int, TrainingStage, nn.Module]
"""Calls of the student, the training, and the student within its network; the training has ended when the next round is
asked for."""


def _path_rounds(
    stage: TrainingStage, original: Denoiser, clean: Clean, diffusion: DiffusionConfig, config: DistillationConfig
) -> Iterator[Round]:
    """Of the methods in which a student ends where its teacher's solver does."""
    student = copy.deepcopy(stage.network)
    teacher, teacher_calls, first = original, config.teacher_calls, True
    for calls in config.calls:
        objective = DistillationObjective(
            teacher, diffusion, config, teacher_calls=teacher_calls, calls=calls, first=first
        )
        loss, frozen = partial(_loss, objective, clean), (*stage.frozen, teacher)
        yield calls, replace(stage, network=student, loss=loss, validation_loss=None, frozen=frozen), student
        if config.method == "progressive":
            teacher, teacher_calls, first = _frozen(student), calls, False


def _moment_rounds(
    stage: TrainingStage, original: Denoiser, clean: Clean, diffusion: DiffusionConfig, config: DistillationConfig
) -> Iterator[Round]:
    """Of the method in which what a student makes looks to the denoiser as real texts do."""
    pair = MatchedPair(*(copy.deepcopy(stage.network) for _ in range(2)))
    for calls in config.calls:
        objective = moment_matching(original, diffusion, config, calls)
        loss, held_out = (partial(_loss, function, clean) for function in (objective, objective.mismatch))
        own = replace(stage, network=pair, loss=loss, validation_loss=held_out, compiled_like=stage.network)
        yield calls, replace(own, frozen=(*stage.frozen, original)), pair.student


def _frozen(network: nn.Module) -> Denoiser:
    copied: Denoiser = copy.deepcopy(network).eval().requires_grad_(False)
    return copied


def _loss(
    objective: Callable[..., tuple[Tensor, Tensor]],
    clean: Clean,
    network: nn.Module,
    batch: Batch,
    seeds: CounterRNG,
) -> tuple[Tensor, Tensor]:
    latents, source = clean(batch)
    return objective(network, latents, seeds, source)


def save_students(folder: Path, students: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write each under its name."""
    for name, tensors in students.items():
        safetensors.save(_place(folder, name), tensors, {"student": name})


def check_students(folder: Path, config: DistillationConfig, denoiser: Callable[[], nn.Module]) -> None:
    """Verify the files of all students from their headers; `denoiser` makes their network, here on the meta device.

    Raises:
        UserError: missing, truncated, not safetensors, or of another configuration.
    """
    if config.share > 0:
        with torch.device("meta"):
            shapes = _shapes(denoiser())
        for student in students_of(config):
            safetensors.check(_place(folder, student.name(config)), shapes)


def _place(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.safetensors"


def _shapes(denoiser: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in resume.weights(denoiser).items()}


class DenoiserWeights:
    """Whose weights a loaded denoiser has: its own, or those of a student of its checkpoint.

    Args:
        folder: the checkpoint; None where there is none, as for random weights, and then it keeps its own.
    """

    def __init__(self, denoiser: nn.Module, folder: Path | None) -> None:
        self.denoiser, self.folder, self.student = denoiser, folder, ""
        self._read: dict[str, Mapping[str, Tensor]] = {}  # on the CPU, by student; the denoiser's own are those of ""

    def use(self, student: str) -> None:
        """Put in the weights of the student of that name, or with "" the denoiser's own; nothing if they are in."""
        if student == self.student or self.folder is None:
            return
        if not self._read:
            self._read[""] = {name: value.cpu().clone() for name, value in resume.weights(self.denoiser).items()}
        if student not in self._read:
            self._read[student] = safetensors.load(_place(self.folder, student), _shapes(self.denoiser))
        resume.load_weights(self.denoiser, self._read[student])
        self.student = student
