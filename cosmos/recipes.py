"""Recipes: a model's sizes with how its two stages are trained. Standard library only, for quick command lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Literal, get_args

from cosmos.config import (
    ADAPTATION,
    PRESETS,
    RELEASE_END_NOISE,
    AdaptationConfig,
    LatentPlace,
    Preset,
    StatePlace,
    check_places,
)
from cosmos.io.errors import UserError, check_range, unknown
from cosmos.io.later_fields import later
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig


def check_shares(**shares: float) -> None:
    """Raise `UserError` unless each is a part of a budget, and not all of it."""
    for name, share in shares.items():
        if not 0 < share < 1:
            raise UserError(f"{name} must lie between 0 and 1, not at {share:g}.")


def adaptation_keys(share: float) -> dict[str, str]:
    """Keys of a recipe that have no effect where no decoder is adapted, and why; see `baselines.contract`."""
    return {} if share > 0 else {"adaptation": "no decoder is adapted; set {}adaptation_share above 0"}


def adaptation_training(config: AdaptationConfig, training: TrainingConfig) -> TrainingConfig:
    """How a decoder is adapted: as it was trained, at another rate."""
    return at_rate(training, config.rate)


def at_rate(training: TrainingConfig, rate: float) -> TrainingConfig:
    """A training with so many times its learning rate."""
    rates = (rate * training.learning_rate, rate * training.final_learning_rate)
    return replace(training, learning_rate=rates[0], final_learning_rate=rates[1])


PLAIN = TrainingConfig()
DistillationMethod = Literal["progressive", "consistency", "moments"]
MOST_CALLS = 1024  # of a teacher


@dataclass(frozen=True)
class DistillationConfig:
    """A last stage, in which students learn to do with few calls what the denoiser does with many.

    Each number of `calls` is a round of each method, with an equal part of the share, and a student; see
    `cosmos.diffusion.distillation` and `cosmos.diffusion.moment_matching`.
    """

    share: float = 0.0  # of the budget that encoding leaves; 0: none
    method: DistillationMethod = "progressive"
    calls: tuple[int, ...] = (8, 4, 2, 1)  # of the students; falling, and each divides the one before
    teacher_calls: int = 32  # of the denoiser, of which the first student's are a part
    end_noise: float = RELEASE_END_NOISE  # sigma/alpha at the teacher's last call
    guidance: float = 1.0  # of the teacher, which the students need no second call for; 1 is the conditional model
    self_guidance: float = later(1.0)  # of the teacher, by the estimates handed on; 1 is the plain model
    training: TrainingConfig = PLAIN
    further_methods: tuple[DistillationMethod, ...] = later(())  # with students of their own, of the same denoiser
    moments_rate: float = later(3.0)  # of the learning rate, where moments are matched: such students change more

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise UserError(f"The share of distillation must lie in [0, 1), not {self.share:g}.")
        for method in self.methods:
            if method not in get_args(DistillationMethod):
                raise unknown("method of distillation", method, get_args(DistillationMethod))
        check_range("teacher_calls", self.teacher_calls, 1, MOST_CALLS)
        check_range("end_noise", self.end_noise, 1e-4, 10.0)
        check_range("guidance", self.guidance, -100.0, 100.0)
        check_range("self_guidance", self.self_guidance, -100.0, 100.0)
        check_range("moments_rate", self.moments_rate, 1e-3, 1e3)
        before = (self.teacher_calls, *self.calls)
        falling = all(0 < less < more and more % less == 0 for more, less in zip(before, self.calls, strict=False))
        if not self.calls or not falling:
            said = ",".join(map(str, self.calls))
            raise UserError(
                f"The calls of students must fall and each divide the one before, the first one the teacher's "
                f"{self.teacher_calls}: not {said or 'none'}; try 8,4,2,1."
            )

    @property
    def methods(self) -> tuple[DistillationMethod, ...]:
        """All of them, each once; that of settings that name none is the first."""
        return tuple(dict.fromkeys((self.method, *self.further_methods)))

    def training_by(self, method: DistillationMethod) -> TrainingConfig:
        """How students of a method are trained. What is validated where moments are matched is no measure of a student:
        it is lowest before anything is learnt. So the last weights are kept there."""
        if method != "moments":
            return self.training
        return replace(at_rate(self.training, self.moments_rate), keep="last")

    def ignored_keys(self) -> dict[str, str]:
        if self.share == 0:
            keys = [part.name for part in fields(self) if part.name != "share"]
            return dict.fromkeys(keys, "nothing is distilled; set {}share above 0")
        if "moments" not in self.methods:
            return {"moments_rate": "no method matches moments; set {}method=moments"}
        if {*self.methods} == {"moments"}:
            return {"training.keep": "where moments are matched, the last weights are kept; set {}method=progressive"}
        return {}


NO_DISTILLATION = DistillationConfig()


def check_last_shares(distillation: DistillationConfig, grid_share: float, adaptation_share: float) -> None:
    """Raise `UserError` unless what follows the denoiser's training leaves it something."""
    for name, share in (("grid_share", grid_share), ("adaptation_share", adaptation_share)):
        if not 0 <= share < 1:
            raise UserError(f"{name} must lie between 0 and 1, not at {share:g}.")
    if distillation.share + grid_share + adaptation_share >= 1:
        raise UserError("The shares of grids, distillation and adaptation leave nothing of the budget; lower one.")


@dataclass(frozen=True)
class Recipe:
    """How to make one Cosmos."""

    model: Preset
    autoencoder_training: TrainingConfig
    diffusion_training: TrainingConfig
    autoencoder_share: float  # of the budget that encoding leaves; diffusion has the rest
    budget: Budget  # where none is given
    start_linear: bool = False  # `cosmos.models.linear_init`, for trainings of a few hundred steps
    encoding_share: float = 0.4  # of the budget, the most that encoding texts may cost: it decides how many
    full: bool = False  # a latent for every position of the decompressor: nothing is compressed
    adaptation_share: float = 0.0  # of the budget that encoding leaves, first of all: for `cosmos.adaptation`
    adaptation: AdaptationConfig = ADAPTATION
    states: StatePlace = "stored"  # of the frozen encoder; in the loop every batch pays for its own, before it none
    clean_latents: LatentPlace = "auto"
    autoencoder: str | None = None  # the folder of a first stage that was trained once (`cosmos.io.artifact`)
    distillation: DistillationConfig = NO_DISTILLATION
    grid_share: float = 0.0  # of what encoding leaves, the most that choosing time grids may cost; 0: none are
    released: str | None = None  # the folder of a whole model (`cosmos.pipeline`), used as it is; all else is then its

    def __post_init__(self) -> None:
        check_places(self.states, self.clean_latents)
        check_shares(autoencoder_share=self.autoencoder_share, encoding_share=self.encoding_share)
        check_last_shares(self.distillation, self.grid_share, self.adaptation_share)

    def ignored_keys(self) -> dict[str, str]:
        return adaptation_keys(self.adaptation_share)


# The trainings that all systems share at a preset, where nothing speaks against it. At nano and small each has the
# learning rate, the batch and the dropout that `python -m benchmarks tune` chose for it (docs/tuning.md), but for first
# stages at small.
NANO = TrainingConfig(batch_size=16, learning_rate=3e-3, ema_decay=0.99, validations=4, keep="best")
SMALL = TrainingConfig(compile="auto", cuda_graph=True, batch_size=256, learning_rate=6e-4, validations=20, keep="best")
SMALL_DENOISER = replace(SMALL, learning_rate=1.2e-3)
# The release's optimiser settings (cosmos.md 1.6 and 2.4), with AdamW for both stages.
BASE = TrainingConfig(
    compile=True, batch_size=512, learning_rate=2e-4, final_learning_rate=1e-4, warmup_steps=1000, eps=1e-6,
    weight_decay=1e-5, clip_norm=10.0, ema_decay=None,
)  # fmt: skip

BASE_DENOISER = replace(BASE, final_learning_rate=2e-4, clip_norm=1.0, ema_decay=0.9999)
# Students begin as their teachers, which is near; so rates are lower, and averages shorter. Their batches are as large,
# so that what was compiled for a teacher serves them. The last weights are kept: a loss whose target is the student's
# own falls when it learns nothing, too.
DISTILLATION = {
    "nano": DistillationConfig(training=replace(NANO, learning_rate=2e-4, ema_decay=0.9, validations=1, keep="last")),
    "small": DistillationConfig(
        training=replace(SMALL_DENOISER, learning_rate=2e-4, ema_decay=0.99, validations=4, keep="last")
    ),
    "base": DistillationConfig(
        training=replace(BASE_DENOISER, learning_rate=5e-5, final_learning_rate=0.0, ema_decay=0.999)
    ),
}

NANO_COSMOS = replace(NANO, learning_rate=4e-3)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        name: replace(recipe, distillation=DISTILLATION[name])
        for name, recipe in {
            "nano": Recipe(PRESETS["nano"], NANO_COSMOS, NANO_COSMOS, 1 / 3, Budget(3e12, "flops"), start_linear=True),
            "small": Recipe(PRESETS["small"], SMALL, SMALL_DENOISER, 0.5, Budget(600, "seconds"), states="auto"),
            "base": Recipe(PRESETS["base"], BASE, BASE_DENOISER, 1 / 3, Budget(300_000, "steps"), states="auto"),
        }.items()
    }
)


RELEASE_D: Mapping[int | str, float] = MappingProxyType({64: 7.0, "full": 5.0})
"""d of the tangent schedule by number of latents, as the released models have it (cosmos.md 2.1); others: as "full"."""


def with_latents(latents: int | Literal["full"], latent_width: int | None = None) -> Mapping[str, Recipe]:
    """Every preset with so many latents, each so wide (None: as in the preset), and the noise that goes with them.

    Raises:
        UserError: a number that no network has.
    """
    recipes = {}
    for name, recipe in RECIPES.items():
        model = recipe.model
        sizes = {} if latents == "full" else {"latents": latents}
        sizes |= {} if latent_width is None else {"latent_width": latent_width}
        parts = {part: replace(getattr(model, part), **sizes) for part in ("autoencoder", "denoiser")}
        schedule = replace(model.diffusion.schedule, d=RELEASE_D.get(latents, RELEASE_D["full"]))
        model = replace(model, **parts, diffusion=replace(model.diffusion, schedule=schedule))
        recipes[name] = replace(recipe, model=model, full=latents == "full")
    return MappingProxyType(recipes)
