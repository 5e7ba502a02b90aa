"""Recipes: a model's sizes with how its two stages are trained. Standard library only, for quick command lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from cosmos.config import PRESETS, LatentPlace, Place, Preset, check_places
from cosmos.io.errors import UserError
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig


def check_shares(**shares: float) -> None:
    """Raise `UserError` unless each is a part of a budget, and not all of it."""
    for name, share in shares.items():
        if not 0 < share < 1:
            raise UserError(f"{name} must lie between 0 and 1, not at {share:g}.")


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
    states: Place = "stored"  # of the frozen encoder; in the loop every batch pays for its own, before it none
    clean_latents: LatentPlace = "auto"
    autoencoder: str | None = None  # the folder of a first stage that was trained once (`cosmos.io.artifact`)

    def __post_init__(self) -> None:
        check_places(self.states, self.clean_latents)
        check_shares(autoencoder_share=self.autoencoder_share, encoding_share=self.encoding_share)


# The trainings that all systems share at a preset, where nothing speaks against it.
NANO = TrainingConfig(batch_size=16, learning_rate=3e-3, ema_decay=0.99, validations=1)
SMALL = TrainingConfig(compile="auto", cuda_graph=True, batch_size=256, learning_rate=6e-4, validations=20, keep="best")
SMALL_DENOISER = replace(SMALL, batch_size=512, learning_rate=4e-4)
# The release's optimiser settings (cosmos.md 1.6 and 2.4), with AdamW for both stages.
BASE = TrainingConfig(
    compile=True, batch_size=512, learning_rate=2e-4, final_learning_rate=1e-4, warmup_steps=1000, eps=1e-6,
    weight_decay=1e-5, clip_norm=10.0, ema_decay=None,
)  # fmt: skip

BASE_DENOISER = replace(BASE, final_learning_rate=2e-4, clip_norm=1.0, ema_decay=0.9999)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "nano": Recipe(PRESETS["nano"], NANO, NANO, 1 / 3, Budget(3e12, "flops"), start_linear=True),
        "small": Recipe(PRESETS["small"], SMALL, SMALL_DENOISER, 0.5, Budget(600, "seconds"), states="loop"),
        "base": Recipe(PRESETS["base"], BASE, BASE_DENOISER, 1 / 3, Budget(300_000, "steps"), states="loop"),
    }
)


def with_latents(latents: int) -> Mapping[str, Recipe]:
    """The presets whose autoencoder has at least so many positions, with that number of latents."""
    recipes = {}
    for name, recipe in RECIPES.items():
        model = recipe.model
        if latents <= model.autoencoder.max_tokens:
            sizes = {part: replace(getattr(model, part), latents=latents) for part in ("autoencoder", "denoiser")}
            recipes[name] = replace(recipe, model=replace(model, **sizes))
    return MappingProxyType(recipes)
