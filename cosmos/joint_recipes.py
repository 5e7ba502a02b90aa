"""Recipes of joint training (`cosmos.joint`): its parts, each with a switch. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

from cosmos.config import (
    PRESETS,
    AutoencoderConfig,
    DenoiserConfig,
    DiffusionConfig,
    ScheduleConfig,
    StatePlace,
    check_places,
)
from cosmos.io.errors import UserError, check_range
from cosmos.io.later_fields import later
from cosmos.recipes import BASE_DENOISER, NANO, RECIPES, SMALL, check_shares
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig

MOST_DRAWS = 1000
MOST_BINS = 1000  # whose isotonic regression has a table of a million numbers


@dataclass(frozen=True)
class JointConfig:
    """How compressor, denoiser and decompressor are trained together (LDLM, 2605.07933; cosmos.md 7.2)."""

    mse_weight: float = 1.0  # of the squared error of decoded states, which teaches the compressor
    stop_tokens: bool = True  # the cross-entropy of tokens teaches the token head alone; False: all of the autoencoder
    gradient_warmup: float = 0.3  # share of the budget until the denoiser's loss teaches the compressor too; 0: at once
    adaptive_times: bool = True  # times drawn so that the expected loss grows evenly; False: as `DiffusionConfig` says
    time_bins: int = 100
    loss_decay: float = 0.999  # of what is remembered of the losses in a bin, for each step
    refresh_steps: int = 5000  # between one density of times and the next
    uniform_share: float = 0.05  # of times, drawn from everywhere, so that no bin's losses grow old
    decoder_noise: float = 3.0  # deviation of the noise on what is decoded in training, where latents have 1; 0: none
    noise_draws: int = 1  # of the denoiser for each text of a batch, where a step of the autoencoder costs more
    running_statistics: bool = True  # latents are standardised by running statistics; False: diffused as they are

    def __post_init__(self) -> None:
        for name in ("mse_weight", "decoder_noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be finite and not negative, not {getattr(self, name):g}.")
        if not 0 <= self.gradient_warmup <= 1:
            raise UserError(f"gradient_warmup is a share of the budget in [0, 1], not {self.gradient_warmup:g}.")
        if not 0 <= self.loss_decay < 1:
            raise UserError(f"loss_decay must lie in [0, 1), not at {self.loss_decay:g}.")
        if not 0 <= self.uniform_share <= 1:
            raise UserError(f"uniform_share must lie in [0, 1], not at {self.uniform_share:g}.")
        check_range("time_bins", self.time_bins, 2, MOST_BINS)
        check_range("noise_draws", self.noise_draws, 1, MOST_DRAWS)
        check_range("refresh_steps", self.refresh_steps, 1, 10**9)
        if self.stop_tokens and self.mse_weight == 0:
            raise UserError("Nothing would teach the compressor what a text says; set mse_weight above 0.")

    def ignored_keys(self) -> dict[str, str]:
        if self.adaptive_times:
            return {}
        reason = "times are not adapted; set {}adaptive_times=true"
        return dict.fromkeys(("time_bins", "loss_decay", "refresh_steps", "uniform_share"), reason)


@dataclass(frozen=True)
class JointPreset:
    """Sizes and objective of a whole model; replaced to suit the task as those of `cosmos.config.Preset` are."""

    text_encoder: str
    autoencoder: AutoencoderConfig
    denoiser: DenoiserConfig
    diffusion: DiffusionConfig
    joint: JointConfig
    encoder_layers: int | None = later()

    @classmethod
    def like_cosmos(cls, preset: str, joint: JointConfig) -> JointPreset:
        """Encoder and sizes of a Cosmos preset, with LDLM's schedule. The denoiser's estimate can shrink where noise
        leaves nothing to tell, as the loss then says how much of it does."""
        model = PRESETS[preset]
        denoiser = replace(model.denoiser, output_norm=False, positions=True)
        diffusion = replace(model.diffusion, schedule=ScheduleConfig(d=3.0))
        return cls(model.text_encoder, model.autoencoder, denoiser, diffusion, joint, model.encoder_layers)


@dataclass(frozen=True)
class JointRecipe:
    """How to make one Cosmos in one stage; fields as in `cosmos.recipes.Recipe`."""

    model: JointPreset
    training: TrainingConfig
    budget: Budget
    start_linear: bool = False
    encoding_share: float = 0.4
    states: StatePlace = "stored"
    full: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_places(self.states)
        check_shares(encoding_share=self.encoding_share)
        if self.training.batch_size < 2 and self.model.joint.running_statistics:
            raise UserError("Latents of a batch are standardised together; give training.batch_size=2 or more.")
        if self.training.micro_batch_size is not None:
            raise UserError("Latents of a batch are standardised together; leave training.micro_batch_size out.")


# At nano and small, unlike in the paper, the cross-entropy of tokens teaches the whole autoencoder: where latents are
# so few and narrow, the squared error keeps what states vary by most and not what tells tokens apart. Noise is of the
# deviation that latents of these widths can bear. Each text is noised several times for the denoiser, which learns more
# slowly than the autoencoder and costs less.
SHORT = JointConfig(stop_tokens=False, noise_draws=2, loss_decay=0.99, decoder_noise=1.0)
JOINT_RECIPES: Mapping[str, JointRecipe] = MappingProxyType(
    {
        "nano": JointRecipe(
            # A few hundred small batches, in which losses fall fast: few bins, a short memory, and all bins visited.
            JointPreset.like_cosmos("nano", replace(
                SHORT, gradient_warmup=1.0, time_bins=20, loss_decay=0.95, refresh_steps=20,
                uniform_share=0.3,
            )),
            replace(NANO, batch_size=8), RECIPES["nano"].budget, start_linear=True,
        ),
        "small": JointRecipe(
            JointPreset.like_cosmos("small", replace(SHORT, refresh_steps=100)),
            SMALL, RECIPES["small"].budget, states="auto",
        ),
        "base": JointRecipe(
            JointPreset.like_cosmos("base", JointConfig()), BASE_DENOISER, RECIPES["base"].budget, states="auto",
        ),
    }
)  # fmt: skip
