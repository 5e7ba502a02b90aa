"""Cosmos trained in one stage: compressor, denoiser and decompressor together (`cosmos.joint`, after LDLM, 2605.07933).

Networks, sizes, samplers and settings are those of `cosmos`, and so is where frozen states are computed (`states`:
stored before training at nano, in the loop at small and base). So what is compared is how they are trained: one budget
for one stage, each step of which costs about what a step of both stages costs. LDLM's denoiser has no norm at its end,
and its schedule is sigma/alpha = 3 tan(pi t/2). Passages, where the corpus has any, are not learnt from, for they have
no sources. At nano it reads, as `cosmos` does, the first layer of its encoder alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from baselines.contract import Budget, Corpus, Progress, RandomTraining, TrainingResult, UserError, silent
from baselines.latent_diffusion.cosmos import CosmosSystem
from baselines.latent_diffusion.distillation import DistilledSampling
from baselines.latent_diffusion.ignored_keys import ignored_keys
from baselines.latent_diffusion.networks import LatentNetworks, TrainedStages
from baselines.latent_diffusion.recipe import LatentRecipe
from baselines.latent_diffusion.settings import OptimisedSampling
from cosmos.data.encoding import EncodedCorpus
from cosmos.joint import JointModel, fit_statistics, joint_stage, train_jointly
from cosmos.joint_recipes import JOINT_RECIPES, JointRecipe
from cosmos.stages import measured
from cosmos.text.encoder import TextEncoder
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun

ONE_STAGE = "cosmos-joint has no first stage to train once; train-decoder is for systems of two stages."


class CosmosJointSystem(CosmosSystem):
    """Latent diffusion in a space that is learnt together with it."""

    name: ClassVar[str] = "cosmos-joint"
    presets: ClassVar[Mapping[str, Any]] = JOINT_RECIPES
    # Students and time grids are made after two stages.
    other_settings: ClassVar[Mapping[str, Any]] = {
        name: setting
        for name, setting in CosmosSystem.other_settings.items()
        if not isinstance(setting, DistilledSampling | OptimisedSampling)
    }

    @staticmethod
    def external_weights(recipe: JointRecipe) -> Sequence[str]:
        return (recipe.model.text_encoder,)

    def ignored_keys(self) -> dict[str, str]:
        recipe: JointRecipe = self.recipe
        sizes = recipe.model.autoencoder
        return ignored_keys(recipe.budget, self.limits, sizes, start_linear=recipe.start_linear, part="model.")

    def latent_recipe(self) -> LatentRecipe:
        """The one training stands for that of decoder and denoiser both; no share of the budget is read."""
        recipe: JointRecipe = self.recipe
        return LatentRecipe(
            text_encoder=recipe.model.text_encoder,
            encoder_layers=recipe.model.encoder_layers,
            denoiser=recipe.model.denoiser,
            decoder_layers=recipe.model.autoencoder.layers,
            diffusion=recipe.model.diffusion,
            decoder_training=recipe.training,
            denoiser_training=recipe.training,
            decoder_share=0.5,
            budget=recipe.budget,
            encoding_share=recipe.encoding_share,
            states=recipe.states,
        )

    def passages(self, corpus: Corpus, encoder: TextEncoder) -> tuple[()]:
        return ()

    def train_decoder(self, *_: Any, **__: Any) -> TrainingResult:
        raise UserError(ONE_STAGE)

    def decoder_keys(self) -> Collection[str]:
        raise UserError(ONE_STAGE)

    def train_on_random_rows(
        self, asked: RandomTraining, workdir: Path, *, device: str, progress: Progress = silent
    ) -> tuple[TrainingResult, int]:
        raise UserError("cosmos-joint has one stage, which is not timed on random rows; time a system of two stages.")

    def train_networks(
        self, model: LatentNetworks, data: EncodedCorpus, left: Budget, start: Cost, run: TrainingRun
    ) -> TrainedStages:
        recipe: JointRecipe = self.recipe
        joint = JointModel(model.decoder, model.denoiser, recipe.model.joint)
        joint.to(model.standardiser.mean.device)

        def fit() -> None:
            fit_statistics(joint, model.standardiser, data)

        once = measured(fit, replace(run, workdir=run.workdir / "statistics"))
        prepared = Cost.total([once, once])  # after training it is done again
        part = left.after(Cost.total([start, prepared]), "The linear start with the latents' statistics")
        stage = joint_stage(joint, model.standardiser, data, recipe.model.diffusion)
        trained = train_jointly(stage, recipe.training, part, run)
        fit()
        return TrainedStages({stage.name: trained}, prepared, trained.validation_loss)
