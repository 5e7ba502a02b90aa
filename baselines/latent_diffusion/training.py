"""The trainings of a system of latent diffusion, one after the other, each with its share of the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from baselines.contract import Budget, TrainingResult
from baselines.latent_diffusion import distillation, time_grids
from baselines.latent_diffusion.networks import LatentNetworks, TrainedStages
from cosmos.adaptation import ADAPTATION, adaptation_stage, latent_inputs, read_datasets
from cosmos.data.encoding import EncodedCorpus
from cosmos.recipes import adaptation_training
from cosmos.stages import LatentCorpus, corpus_latents, price_of_latents
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import TrainingStage, check_shares, train

LATENTS = "Computing the latents"


def later_part(left: Budget, unspent: float, share: float, others: float) -> Budget:
    """The budget of a stage after time grids: its share, and as much of what they have left over as it has of all that
    come after them."""
    return Budget(left.amount * share + unspent * share / (share + others), left.unit)


class TrainsInStages:
    """What a `LatentDiffusionSystem` does with the budget that encoding has left."""

    def train_networks(
        self: Any, model: LatentNetworks, data: EncodedCorpus, left: Budget, start: Cost, run: TrainingRun
    ) -> TrainedStages:
        """Train one stage after the other. What choosing time grids has not used of its share goes to the stages that
        come after it, if there are any. What a later stage would refuse, and is known before, is refused before the
        first is trained.

        Args:
            left: what encoding has left of the budget. start: what first weights cost, to be paid from it.
        """
        recipe, trained, share = self.latent_recipe(), dict[str, TrainingResult](), 0.0
        of_grids = 0.0 if left.unit == "steps" else recipe.grid_share
        text = Cost()
        if recipe.grid_share > 0:  # before anything is trained, should the share be too small
            of_text = (model.denoiser, data.validation, recipe.diffusion)
            text = time_grids.price_of_text(*of_text, left, recipe.grid_share, run)
        kept = left.part(1.0 - recipe.adaptation_share - recipe.distillation.share - of_grids)
        self.check_later_stages(model, run)
        if recipe.decoder is None:
            share = recipe.decoder_share
            part = kept.part(share).after(start, "The linear start")
            if left.unit != "steps":
                kept.part(1.0 - share).after(self.price_of_preparing(model, data, run), LATENTS)
            stage = self.first_stage(model, data)
            trained[stage.name] = train(stage, recipe.decoder_training, part, run)
        next_stage, prepared = self.second_stage(model, data, run)
        part = kept.part(1.0 - share).after(prepared, LATENTS)
        second = trained[next_stage.name] = train(next_stage, recipe.denoiser_training, part, run)

        of_denoiser = (next_stage, partial(self.clean, model), recipe.diffusion)
        adapted, grids, students = None, None, dict[str, Mapping[str, Tensor]]()
        if recipe.grid_share > 0:
            grids = time_grids.choose(*of_denoiser, left.part(recipe.grid_share), run, text)
        unspent = 0.0 if grids is None else time_grids.unspent(left.part(recipe.grid_share), grids["cost"])
        if (config := recipe.distillation).share > 0:
            part = later_part(left, unspent, config.share, recipe.adaptation_share)
            students, rounds = distillation.distil(*of_denoiser, config, part, run)
            trained |= rounds
        if recipe.adaptation_share > 0:
            third = self.third_stage(model, data, next_stage)
            training = adaptation_training(recipe.adaptation, recipe.decoder_training)
            part = later_part(left, unspent, recipe.adaptation_share, config.share)
            trained[third.name] = train(third, training, part, run)
            adapted = third.network
        return TrainedStages(trained, prepared, second.validation_loss, adapted, grids, students)

    def price_of_preparing(self, model: LatentNetworks, data: EncodedCorpus, run: TrainingRun) -> Cost:
        """What the second stage will pay for before it trains, as far as it is known before the first; here nothing."""
        return Cost()

    def check_later_stages(self: Any, model: LatentNetworks, run: TrainingRun) -> None:
        """Raise `UserError` where so many processes cannot share the batches of a later stage, before the first is
        trained."""
        recipe, processes = self.latent_recipe(), find_processes(run.device)
        check_shares(self.denoiser_stage, model.denoiser, recipe.denoiser_training, processes)
        if recipe.distillation.share > 0:
            for network in distillation.trained_networks(recipe.distillation, model.denoiser):
                check_shares("distillation", network, recipe.distillation.training, processes)
        if recipe.adaptation_share > 0:
            training = adaptation_training(recipe.adaptation, recipe.decoder_training)
            check_shares(ADAPTATION, self.decoder_of(model), training, processes)

    def third_stage(self: Any, model: LatentNetworks, data: EncodedCorpus, second: TrainingStage) -> TrainingStage:
        """The stage in which a copy of the decoder learns to read what the denoiser makes of the second's data."""
        recipe, held_out = self.latent_recipe(), None if data.validation is None else data.validation.targets
        rows, held_rows = read_datasets(second, data.train.targets, held_out)
        inputs = latent_inputs(model.denoiser, model.standardiser)
        of = (self.decoder_of(model), self.reads(model), inputs, model.denoiser, recipe.diffusion, recipe.adaptation)
        stage = adaptation_stage(*of, rows, held_rows, second.prepare, second.frozen)
        return replace(stage, scored=self.first_stage(model, data).scored)


class DiffusesLatents:
    """What a `LatentDiffusionSystem` has whose first stage is an autoencoder, and whose second diffuses its latents."""

    def price_of_preparing(self: Any, model: LatentNetworks, data: EncodedCorpus, run: TrainingRun) -> Cost:
        return price_of_latents(model.decoder, model.standardiser, data, run, self.recipe.clean_latents)

    def corpus_latents(self: Any, model: LatentNetworks, data: EncodedCorpus, run: TrainingRun) -> LatentCorpus:
        return corpus_latents(model.decoder, model.standardiser, data, run, self.recipe.clean_latents)
