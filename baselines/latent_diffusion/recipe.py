"""What every system of latent diffusion is made by; those with more keys extend it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from baselines.contract import Budget, UserError
from cosmos.config import (
    ADAPTATION,
    PRESETS,
    AdaptationConfig,
    DenoiserConfig,
    DiffusionConfig,
    ScheduleConfig,
    StatePlace,
    check_layers,
    check_places,
)
from cosmos.io.later_fields import later
from cosmos.recipes import (
    NO_DISTILLATION,
    RECIPES,
    DistillationConfig,
    adaptation_keys,
    check_last_shares,
    check_shares,
)
from cosmos.training.config import TrainingConfig

FIRST_STAGE_KEYS = ("text_encoder", "encoder_layers", "budget", "decoder_share", "decoder_training", "decoder_layers")
"""What the first stage of every such system reads, trained alone (`baselines.contract.TrainsSharedDecoder`)."""


@dataclass(frozen=True, kw_only=True)
class LatentRecipe:
    """Sizes and training of one preset; lengths and source of the denoiser are set to suit the task."""

    text_encoder: str
    denoiser: DenoiserConfig
    decoder_layers: int
    diffusion: DiffusionConfig
    decoder_training: TrainingConfig
    denoiser_training: TrainingConfig
    decoder_share: float  # of the budget that encoding leaves
    budget: Budget
    encoding_share: float = 0.4  # of the budget, the most that encoding texts may cost: it decides how many
    adaptation_share: float = 0.0  # of the budget that encoding leaves, first of all: for `cosmos.adaptation`
    adaptation: AdaptationConfig = ADAPTATION
    encoder_layers: int | None = later()  # of the frozen text encoder, the first ones, whose states are read; None: all
    states: StatePlace = "stored"  # of the frozen encoder; in the loop every batch pays for its own, before it none
    decoder: str | None = None  # the folder of a first stage that was trained once (`train-decoder`)
    distillation: DistillationConfig = NO_DISTILLATION  # whose share comes before the two stages' is split
    grid_share: float = 0.0  # as well: the most that choosing time grids may cost; in steps any above 0 will do

    def __post_init__(self) -> None:
        check_places(self.states)
        check_shares(decoder_share=self.decoder_share, encoding_share=self.encoding_share)
        if self.decoder_layers < 1:
            raise UserError(f"The decoder needs at least one layer, not {self.decoder_layers}.")
        check_layers(decoder_layers=self.decoder_layers, encoder_layers=self.encoder_layers or 0)
        check_last_shares(self.distillation, self.grid_share, self.adaptation_share)

    def ignored_keys(self) -> dict[str, str]:
        return adaptation_keys(self.adaptation_share)

    @classmethod
    def like_cosmos(cls, preset: str, d: float, **changes: Any) -> Self:
        """Encoder, sizes, trainings and budget of a Cosmos preset, for what has no fixed norm, as a velocity or states.

        Noise has sigma/alpha = d tan(pi t/2); `changes` are all other fields, and those that differ.
        """
        cosmos, model = RECIPES[preset], PRESETS[preset]
        dropped = model.diffusion.source_dropout
        values: dict[str, Any] = {
            "text_encoder": model.text_encoder,
            "encoder_layers": model.encoder_layers,
            "denoiser": replace(model.denoiser, output_norm=False, positions=True),
            "diffusion": DiffusionConfig(ScheduleConfig(d=d), times="stratified", source_dropout=dropped),
            "decoder_training": cosmos.autoencoder_training,
            "denoiser_training": cosmos.diffusion_training,
            "budget": cosmos.budget,
            "states": cosmos.states,
            "distillation": cosmos.distillation,
        }
        return cls(**values | changes)
