"""Cosmos behind the contract: the package `cosmos` itself, trained in its two stages under one budget.

The paper's autoencoder learns from Wikipedia or OpenWebText. Here it learns from the task's own targets and, where the
corpus has passages, from those too, in runs of whole sentences about as long as the longest target; what is longer, a
long sentence among them, is cut. Or it was trained once, on corpora of any size, for many tasks (`python -m cosmos
train-autoencoder`), and `autoencoder` of the recipe names its folder. A checkpoint holds a `cosmos.pipeline.Pipeline`,
so `python -m cosmos` reads it.

How much is compressed is what the method is about, so one run can compare `cosmos` with the preset's number of latents,
`cosmos-8` to `cosmos-128` with so many, and `cosmos-full` with a latent for every position. Other numbers and widths
are contestants too, without a line of their own (`baselines.latent_diffusion.cosmos_sizes`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from baselines.common import checkpoint
from baselines.common.random_rows import train_on
from baselines.contract import Budget, Corpus, Limits, Progress, RandomTraining, TrainingResult, UserError, silent
from baselines.latent_diffusion.ignored_keys import ignored_keys
from baselines.latent_diffusion.latent_sizes import check_latents, check_name
from baselines.latent_diffusion.networks import LatentNetworks
from baselines.latent_diffusion.random_stages import random_autoencoder_stage, random_diffusion_stage
from baselines.latent_diffusion.recipe import LatentRecipe
from baselines.latent_diffusion.released import as_released, described, open_released, released_of
from baselines.latent_diffusion.released import copy as copy_released
from baselines.latent_diffusion.settings import LatentSamplingSetting, few_calls
from baselines.latent_diffusion.shared_decoder import AUTOENCODER_SIZES, SharedDecoder, named
from baselines.latent_diffusion.system import LatentDiffusionSystem
from baselines.latent_diffusion.training import DiffusesLatents
from cosmos.adaptation import Read, decompressor_reads
from cosmos.config import MINILM, Preset
from cosmos.data.encoding import EncodedCorpus
from cosmos.io import artifact, seals
from cosmos.models.autoencoder import Autoencoder, Decompressor
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.models.linear_init import linear_start, tokens_per_latent
from cosmos.pipeline import Pipeline, StoredPipeline, check
from cosmos.recipes import RECIPES, Recipe, with_latents
from cosmos.runtime.rng import initialised
from cosmos.stages import AUTOENCODER, DIFFUSION, autoencoder_stage, diffusion_stage, first_texts, reconstruction
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import pieces
from cosmos.text.tokenizer import find_encoder
from cosmos.text.vocabulary import Vocabulary
from cosmos.train import encoder_name
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.loop import TrainingStage

MODEL = "model"  # the pipeline's folder within the checkpoint
TOKENS_PER_WORD = 1.5  # of English with its punctuation, about
OWN_COMMAND = "The first stage of cosmos has a command of its own: python -m cosmos train-autoencoder."
DPMPP_2M = LatentSamplingSetting("dpmpp_2m", steps=20, grid="log_snr", final_x0=True)


class CosmosSystem(DiffusesLatents, LatentDiffusionSystem):
    """Latent diffusion in a compressed, smooth space."""

    name: ClassVar[str] = "cosmos"
    method: ClassVar[str] = "cosmos"  # whatever the number of latents
    decoder_name: ClassVar[str] = "decompressor"
    denoiser_stage: ClassVar[str] = DIFFUSION
    about: StoredPipeline | None = None  # of released weights, once they are loaded
    presets: ClassVar[Mapping[str, Any]] = RECIPES
    settings: ClassVar[Mapping[str, Any]] = {"dpmpp_2m-20": DPMPP_2M, "release-200": LatentSamplingSetting()}
    other_settings: ClassVar[Mapping[str, Any]] = {
        "dpmpp_2m-50": replace(DPMPP_2M, steps=50),
        "dpmpp_2m-10": replace(DPMPP_2M, steps=10),
        "dpmpp_2m-5": replace(DPMPP_2M, steps=5),
        "guided-20": replace(DPMPP_2M, guidance=1.5),
        "release-guided-200": LatentSamplingSetting(guidance=1.5),
        **few_calls(),
    }

    def __init__(self, recipe: Recipe, limits: Limits) -> None:
        super().__init__(recipe, limits)
        if released_of(recipe) is not None:
            if self.name != CosmosSystem.name:
                raise UserError(
                    f"Released weights have a number of latents of their own; name cosmos, not {self.name}."
                )
            return
        check_name(self.name, recipe.model.autoencoder)
        if not recipe.full:
            check_latents(self.name, recipe.model.autoencoder.latents, limits)

    @staticmethod
    def external_weights(recipe: Recipe) -> Sequence[str]:
        if released_of(recipe) is not None:
            return (recipe.released,)
        return (recipe.model.text_encoder, *named(recipe.autoencoder))

    @staticmethod
    def shared_tokenizer(recipe: Recipe) -> str | None:
        if released_of(recipe) is not None:
            return described(recipe.released)["text_encoder"]
        return encoder_name(recipe.model.text_encoder, MINILM)

    def ignored_keys(self) -> dict[str, str]:
        recipe: Recipe = self.recipe
        if released_of(recipe) is not None:
            others = [field.name for field in fields(recipe) if field.name != "released"]
            return dict.fromkeys(others, "the released weights are used as they are; leave out {}released")
        sizes, start = recipe.model.autoencoder, recipe.start_linear
        shared = None if recipe.autoencoder is None else "autoencoder"
        adapting = ("autoencoder_training",) if recipe.adaptation_share > 0 else ()
        how = {"start_linear": start, "full": recipe.full, "part": "model.", "shared": shared}
        return ignored_keys(recipe.budget, self.limits, sizes, **how, adapting=adapting)

    def latent_recipe(self) -> LatentRecipe:
        recipe: Recipe = self.recipe
        if released_of(recipe) is not None:
            recipe = as_released(recipe, self.about or described(recipe.released))
        return LatentRecipe(
            text_encoder=recipe.model.text_encoder,
            encoder_layers=recipe.model.encoder_layers,
            denoiser=recipe.model.denoiser,
            decoder_layers=recipe.model.autoencoder.layers,
            diffusion=recipe.model.diffusion,
            decoder_training=recipe.autoencoder_training,
            denoiser_training=recipe.diffusion_training,
            decoder_share=recipe.autoencoder_share,
            budget=recipe.budget,
            encoding_share=recipe.encoding_share,
            adaptation_share=recipe.adaptation_share,
            adaptation=recipe.adaptation,
            states=recipe.states,
            decoder=recipe.autoencoder,
            distillation=recipe.distillation,
            grid_share=recipe.grid_share,
        )

    def locate_weights(self) -> None:
        if released_of(self.recipe) is None:
            super().locate_weights()
        else:
            open_released(self.recipe.released, self.limits)
            if self.limits.source_tokens > 0:
                find_encoder(self.shared_tokenizer(self.recipe))

    def read_files(self) -> Sequence[Any]:
        if released_of(self.recipe) is None:
            return super().read_files()
        return (seals.tree_hashes(open_released(self.recipe.released, self.limits).folder),)

    def fit_networks(self, corpus: Corpus, budget: Budget, workdir: Path, run: TrainingRun) -> TrainingResult:
        if released_of(self.recipe) is None:
            return super().fit_networks(corpus, budget, workdir, run)
        released = open_released(self.recipe.released, self.limits)
        copied = copy_released(released, workdir / MODEL)
        checkpoint.save_configuration(workdir, self.configured, released.shape)
        return copied

    def build(self, shape: Mapping[str, int]) -> LatentNetworks:
        model: Preset = self.recipe.model
        sizes = replace(
            model.autoencoder,
            text_width=shape["text_width"],
            vocabulary=shape["vocabulary"],
            max_tokens=shape["length"],
            latents=shape["length"] if self.recipe.full else model.autoencoder.latents,
        )
        denoiser = self.denoiser_sizes(sizes.latents, sizes.latent_width, shape)
        return LatentNetworks(shape["text_width"], Autoencoder(sizes), Denoiser(denoiser))

    def fresh(self, shape: Mapping[str, int], seed: int) -> LatentNetworks:
        """Each network's weights follow from the seed alone, as in the stages that are commands of their own."""
        model = super().fresh(shape, seed)
        model.denoiser = initialised(lambda: Denoiser(model.denoiser.config), seed)
        return model

    def positions(self, longest: int) -> int:
        positions = super().positions(longest)
        return positions if self.recipe.full else max(self.recipe.model.autoencoder.latents, positions)

    def text_width(self) -> int:
        return int(self.recipe.model.autoencoder.text_width)

    def passages(self, corpus: Corpus, encoder: TextEncoder) -> Sequence[str]:
        """The passages, cut as the module's docstring has it."""
        if not corpus.passages:
            return ()
        targets, _ = encoder.ids([document.target for document in corpus.train], self.limits.target_tokens)
        tokens = self.positions(max(map(len, targets))) - 2  # besides [CLS] and [SEP]
        return pieces(corpus.passages, max(1, int(tokens / TOKENS_PER_WORD)))

    def start(self, model: LatentNetworks, data: EncodedCorpus, encoder: TextEncoder, seed: int) -> None:
        model.decoder.decompressor.mask_embedding.copy_(encoder.mask_embedding)
        if self._starts_linearly(model):
            linear_start(model.decoder, *first_texts(data.sample, model.standardiser), seed)

    def _starts_linearly(self, model: LatentNetworks) -> bool:
        return self.recipe.start_linear and tokens_per_latent(model.decoder.config) is not None

    def decoder_sizes(self, positions: int) -> Mapping[str, tuple[Any, str]]:
        sizes = self.recipe.model.autoencoder
        # Where there is a latent for every position, how many there are is looked at in `shared`.
        names = [name for name in AUTOENCODER_SIZES if not (name == "latents" and self.recipe.full)]
        return {name: (getattr(sizes, name), f"model.autoencoder.{name}") for name in names}

    def shared(self) -> SharedDecoder:
        found = super().shared()
        latents = found.about["sizes"]["latents"]
        if self.recipe.full and latents != found.max_tokens:
            what = f"compresses {found.max_tokens} positions to {latents} latents"
            raise UserError(f"{found.folder} {what}, and '{self.name}' has one for each; set another first stage.")
        return found

    def load_decoder(self, shared: SharedDecoder, model: LatentNetworks) -> None:
        pipeline = Pipeline.load(shared.folder / artifact.MODEL, with_encoder=False)
        model.standardiser, model.decoder = pipeline.standardiser, pipeline.autoencoder

    def train_decoder(self, *_: Any, **__: Any) -> TrainingResult:
        raise UserError(OWN_COMMAND)

    def decoder_keys(self) -> Collection[str]:
        raise UserError(OWN_COMMAND)

    def first_stage(self, model: LatentNetworks, data: EncodedCorpus) -> TrainingStage:
        return autoencoder_stage(model.decoder, model.standardiser, self.recipe.model.corruption, data)

    def second_stage(self, model: LatentNetworks, data: EncodedCorpus, run: TrainingRun) -> tuple[TrainingStage, Cost]:
        latents = self.corpus_latents(model, data, run)
        return diffusion_stage(model.denoiser, model.standardiser, latents, self.recipe.model.diffusion), latents.cost

    def notes(self, model: LatentNetworks, data: EncodedCorpus) -> Mapping[str, Any]:
        noted = {"start_linear": self._starts_linearly(model)}
        if data.validation is None:
            return noted
        return noted | reconstruction(model.decoder, model.standardiser, data.validation.targets, data.prepare)

    def decoder_of(self, model: LatentNetworks) -> nn.Module:
        return model.decoder.decompressor

    def reads(self, model: LatentNetworks) -> Read:
        return decompressor_reads(model.denoiser)

    def decode(self, latents: Tensor, source: SourceStates | None, vocabulary: int) -> Tensor:
        decompressor = self.model.decoder.decompressor
        raw = self.model.denoiser.normaliser.restore(latents).to(next(decompressor.parameters()).dtype)
        tokens: Tensor = decompressor(raw, self.limits.target_tokens, vocabulary)
        return tokens

    def save(
        self,
        folder: Path,
        vocabulary: Vocabulary,
        model: LatentNetworks,
        encoder: TextEncoder,
        adapted: nn.Module | None,
    ) -> None:
        assert adapted is None or isinstance(adapted, Decompressor)
        networks = (model.standardiser, model.decoder, encoder, model.denoiser, self.recipe.model.diffusion, adapted)
        Pipeline(vocabulary, *networks).save(folder / MODEL)

    def check(self, checkpoint_folder: Path) -> None:
        stored = checkpoint.check_finished(checkpoint_folder, self.configured)
        about = check(checkpoint_folder / MODEL)
        if released_of(self.recipe) is not None:
            self.about = about
        self.check_few_calls(checkpoint_folder, stored["shape"])

    def read_checkpoint(self, checkpoint_folder: Path) -> tuple[Mapping[str, int], Vocabulary, LatentNetworks]:
        self.check(checkpoint_folder)
        pipeline = Pipeline.load(checkpoint_folder / MODEL, with_encoder=False)
        assert pipeline.denoiser is not None, "a checkpoint is written after both stages"
        sizes = pipeline.autoencoder.config
        shape = {"vocabulary": sizes.vocabulary, "length": sizes.max_tokens, "text_width": sizes.text_width}
        model = LatentNetworks(sizes.text_width, pipeline.autoencoder, pipeline.denoiser)
        model.standardiser = pipeline.standardiser
        if pipeline.adapted is not None:
            model.decoder.decompressor = pipeline.adapted
        return shape, pipeline.vocabulary, model

    def train_on_random_rows(
        self, asked: RandomTraining, workdir: Path, *, device: str, progress: Progress = silent
    ) -> tuple[TrainingResult, int]:
        """See the contract; the stages are "autoencoder" and "diffusion"."""
        recipe: Recipe = self.recipe
        shape = {"vocabulary": asked.vocabulary, "length": self.limits.target_tokens, "text_width": self.text_width()}
        networks, run = self.fresh(shape, 0), TrainingRun(workdir, 0, device, progress)
        if asked.stage == AUTOENCODER:
            first = random_autoencoder_stage(networks, recipe.model, asked.rows, device)
            return train_on(first, recipe.autoencoder_training, asked, run)
        assert asked.stage == DIFFUSION, asked.stage
        second = random_diffusion_stage(networks, recipe.model, asked.rows, device)
        return train_on(second, recipe.diffusion_training, asked, run)


class Cosmos8System(CosmosSystem):
    name: ClassVar[str] = "cosmos-8"
    presets: ClassVar[Mapping[str, Any]] = with_latents(8)


class Cosmos16System(CosmosSystem):
    name: ClassVar[str] = "cosmos-16"
    presets: ClassVar[Mapping[str, Any]] = with_latents(16)


class Cosmos32System(CosmosSystem):
    name: ClassVar[str] = "cosmos-32"
    presets: ClassVar[Mapping[str, Any]] = with_latents(32)


class Cosmos64System(CosmosSystem):
    name: ClassVar[str] = "cosmos-64"
    presets: ClassVar[Mapping[str, Any]] = with_latents(64)


class Cosmos128System(CosmosSystem):
    name: ClassVar[str] = "cosmos-128"
    presets: ClassVar[Mapping[str, Any]] = with_latents(128)


class CosmosFullSystem(CosmosSystem):
    name: ClassVar[str] = "cosmos-full"
    presets: ClassVar[Mapping[str, Any]] = with_latents("full")
