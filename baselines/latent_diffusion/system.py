"""Latent diffusion behind the contract: what Cosmos, TEncDM and LD4LG share. A system adds its networks and its losses.

All have a frozen text encoder and train in two stages: first a decoder, which turns what is diffused into tokens (and,
where texts are compressed, what compresses them), then the denoiser. The budget pays for everything: first for encoding
as many documents as `encoding_share` of it allows (`baselines.latent_diffusion.encoding_budget`); what is left is split
between the stages, and each pays from its part for what is computed before it trains: a linear start, latents.

A decoder emits a fixed number of positions, which the checkpoint keeps: that of the longest training target, rounded up
to a multiple of four, within the task's limit.

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import copy
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from baselines.common import checkpoint, mbr
from baselines.common.system import TRAINING, TrainedSystem
from baselines.contract import Budget, Corpus, Progress, Request, Sample, TrainingResult, UserError, silent
from baselines.latent_diffusion import distillation, time_grids
from baselines.latent_diffusion.distillation import DenoiserWeights, DistilledSampling
from baselines.latent_diffusion.encoding_budget import affordable
from baselines.latent_diffusion.settings import LatentSamplingSetting, OptimisedSampling, Setting
from cosmos.config import MINILM, PRESETS, DenoiserConfig, DiffusionConfig, ScheduleConfig, check_layers
from cosmos.data.encoding import EncodedCorpus, Encoding
from cosmos.diffusion.distillation import sample_distilled
from cosmos.diffusion.samplers import check_guidance, sample_latents
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.models.standardiser import Standardiser
from cosmos.recipes import NO_DISTILLATION, RECIPES, DistillationConfig, check_last_shares, check_shares
from cosmos.runtime.capture import captured
from cosmos.stages import measured, source_of
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.tokenizer import find_encoder
from cosmos.text.vocabulary import Vocabulary
from cosmos.train import encoder_name
from cosmos.training import resume
from cosmos.training.batches import Batch
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import TrainingConfig, TrainingStage, train


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
    distillation: DistillationConfig = NO_DISTILLATION  # whose share comes before the two stages' is split
    grid_share: float = 0.0  # as well: the most that choosing time grids may cost; in steps any above 0 will do

    def __post_init__(self) -> None:
        check_shares(decoder_share=self.decoder_share, encoding_share=self.encoding_share)
        if self.decoder_layers < 1:
            raise UserError(f"The decoder needs at least one layer, not {self.decoder_layers}.")
        check_layers(decoder_layers=self.decoder_layers)
        check_last_shares(self.distillation, self.grid_share)

    @classmethod
    def like_cosmos(cls, preset: str, d: float, **changes: Any) -> Self:
        """Encoder, sizes, trainings and budget of a Cosmos preset, for what has no fixed norm, as a velocity or states.

        Noise has sigma/alpha = d tan(pi t/2); `changes` are all other fields, and those that differ.
        """
        cosmos, model = RECIPES[preset], PRESETS[preset]
        dropped = model.diffusion.source_dropout
        values: dict[str, Any] = {
            "text_encoder": model.text_encoder,
            "denoiser": replace(model.denoiser, output_norm=False, positions=True),
            "diffusion": DiffusionConfig(ScheduleConfig(d=d), times="stratified", source_dropout=dropped),
            "decoder_training": cosmos.autoencoder_training,
            "denoiser_training": cosmos.diffusion_training,
            "budget": cosmos.budget,
            "distillation": cosmos.distillation,
        }
        return cls(**values | changes)


class LatentNetworks(nn.Module):
    """All that a checkpoint holds; `decoder` is what the first stage trains, of a type that the system knows."""

    def __init__(self, text_width: int, decoder: nn.Module, denoiser: Denoiser) -> None:
        super().__init__()
        self.standardiser = Standardiser(text_width)
        self.decoder, self.denoiser = decoder, denoiser


class LatentDiffusionSystem(TrainedSystem):
    """A system that diffuses what it makes of a frozen encoder's states."""

    no_likelihood: ClassVar[str] = "latent diffusion has no likelihood of a text that could be computed"
    model: LatentNetworks
    encoder: TextEncoder | None
    noises: time_grids.Noises | None  # of the checkpoint's grids
    decoder_name: ClassVar[str] = "decoder"  # among `networks`

    @staticmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        return (recipe.text_encoder,)

    @staticmethod
    def shared_tokenizer(recipe: Any) -> str | None:
        return encoder_name(recipe.text_encoder, MINILM)

    def locate_weights(self) -> None:
        find_encoder(encoder_name(self.two_stages().text_encoder, MINILM))

    def two_stages(self) -> LatentRecipe:
        """The recipe, under the names that all these systems share."""
        return self.recipe

    @abstractmethod
    def build(self, shape: Mapping[str, int]) -> LatentNetworks:
        """All networks, with fresh weights; `shape` holds "vocabulary", "length" (positions) and "text_width"."""

    @abstractmethod
    def first_stage(self, model: LatentNetworks, data: EncodedCorpus) -> TrainingStage:
        """The stage after which tokens can be decoded."""

    @abstractmethod
    def second_stage(self, model: LatentNetworks, data: EncodedCorpus, run: TrainingRun) -> tuple[TrainingStage, Cost]:
        """The denoiser's, once the first has ended, and what it pays for before it trains."""

    def clean(self, model: LatentNetworks, batch: Batch) -> tuple[Tensor, SourceStates | None]:
        """What is diffused of a batch of the second stage, standardised [B, N, C], and the source."""
        return model.denoiser.normaliser.standardise(batch["latents"]), source_of(model.standardiser, batch)

    def denoiser_sizes(self, latents: int, latent_width: int, shape: Mapping[str, int]) -> DenoiserConfig:
        """Those of the recipe, made to suit what is diffused and the task's sources."""
        return replace(
            self.two_stages().denoiser,
            latents=latents,
            latent_width=latent_width,
            source_width=shape["text_width"] if self.limits.source_tokens > 0 else None,
            max_source_tokens=max(1, self.limits.source_tokens),
        )

    def logits(self, latents: Tensor, source: SourceStates | None) -> Tensor:
        """Of every position [B, L, V], from standardised latents [B, N, C], where all are decoded at once."""
        raise NotImplementedError

    def positions(self, longest: int) -> int:
        """Positions of a target, [CLS] and [SEP] included, where the longest has so many."""
        return min(self.limits.target_tokens, -(-longest // 4) * 4)

    def passages(self, corpus: Corpus, encoder: TextEncoder) -> Sequence[str]:
        """Texts of another corpus, for the first stage; here none."""
        return ()

    def start(self, model: LatentNetworks, data: EncodedCorpus, encoder: TextEncoder, seed: int) -> None:
        """Better first weights than random ones; here none."""

    def notes(self, model: LatentNetworks, data: EncodedCorpus) -> Mapping[str, Any]:
        """What else is worth noting of a training; here nothing."""
        return {}

    def decoder(self) -> nn.Module:
        """The part of what the first stage trains that generation calls."""
        return self.model.decoder

    def save(self, folder: Path, vocabulary: Vocabulary, model: LatentNetworks, encoder: TextEncoder) -> None:
        checkpoint.save_networks(folder, self.name, vocabulary, model)

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> TrainingResult:
        fitted = super().fit(corpus, budget, workdir, seed=seed, device=device, progress=progress)
        # Caches and logs: large, and never read again. What a kill has left behind a finished checkpoint goes too.
        shutil.rmtree(workdir / TRAINING, ignore_errors=True)
        return fitted

    def fit_networks(self, corpus: Corpus, budget: Budget, workdir: Path, run: TrainingRun) -> TrainingResult:
        recipe = self.two_stages()
        encoder = TextEncoder(encoder_name(recipe.text_encoder, MINILM), run.device)
        learnt = affordable(
            replace(corpus, passages=self.passages(corpus, encoder)),
            encoder,
            self.limits,
            budget,
            share=recipe.encoding_share,
            batch_size=max(recipe.decoder_training.batch_size, recipe.denoiser_training.batch_size),
            run=run,
        )
        encoding, data = self._encoded(corpus, learnt, encoder, run)
        vocabulary, targets = encoding.vocabulary, data.train.targets
        shape = {"vocabulary": vocabulary.padded_size, "length": encoding.max_tokens, "text_width": encoder.width}
        left = budget.after(data.cost, "Encoding the texts")
        model = self.fresh(shape, run.seed)
        model.standardiser = Standardiser.of(targets.states.statistics())
        model.to(find_processes(run.device).device)
        start = measured(lambda: self.start(model, data, encoder, run.seed), run)
        grid_share = 0.0 if budget.unit == "steps" else recipe.grid_share
        two_stages = left.part(1.0 - recipe.distillation.share - grid_share)
        part = two_stages.part(recipe.decoder_share).after(start, "The linear start")
        stage = self.first_stage(model, data)
        first = train(stage, recipe.decoder_training, part, run)
        next_stage, prepared = self.second_stage(model, data, run)
        part = two_stages.part(1.0 - recipe.decoder_share).after(prepared, "Computing the latents")
        second = train(next_stage, recipe.denoiser_training, part, run)
        trained = {stage.name: first, next_stage.name: second}
        last: Any = (next_stage, partial(self.clean, model), recipe.diffusion)
        looking = Cost()
        if recipe.grid_share > 0:
            chosen = time_grids.choose(*last, left.part(recipe.grid_share), run)
            time_grids.save(workdir, chosen)
            looking = chosen["cost"]
        if (config := recipe.distillation).share > 0:
            students, rounds = distillation.distil(*last, config, left.part(config.share), run)
            distillation.save_students(workdir, students)
            trained |= rounds

        cost = Cost.total([data.cost, start, prepared])
        fitted = TrainingResult(
            steps=sum(part.steps for part in trained.values()),
            seconds=sum(part.seconds for part in trained.values()) + cost.seconds + looking.seconds,
            flops=sum(part.flops for part in trained.values()) + cost.flops + looking.flops,
            validation_loss=second.validation_loss,
            notes={
                "documents": len(learnt.train),
                "validation_documents": len(learnt.validation),
                "passages": len(learnt.passages),
                **{name: asdict(part) for name, part in trained.items()},
                "encoding_seconds": cost.seconds,
                "encoding_flops": cost.flops,
                "grid_seconds": looking.seconds,
                "grid_flops": looking.flops,
                "parameters": sum(value.numel() for value in resume.trainable(model).values()),
                "text_encoder": encoder.fingerprint,
                "cut_targets": targets.states.cut,
                "cut_sources": 0 if data.train.sources is None else data.train.sources.cut,
                **shape,
                **self.notes(model, data),
            },
        )
        checkpoint.save_configuration(workdir, self.configured, shape)
        self.save(workdir, vocabulary, model, encoder)
        return fitted

    def _encoded(
        self, corpus: Corpus, learnt: Corpus, encoder: TextEncoder, run: TrainingRun
    ) -> tuple[Encoding, EncodedCorpus]:
        """Texts that are learnt from with their states, under the vocabulary of all documents."""
        seen = [text for document in corpus.train for text in (document.source, document.target) if text is not None]
        vocabulary = Vocabulary.of([*seen, *learnt.passages], str(encoder.folder))
        source_tokens = self.limits.source_tokens
        train, validation = (
            Texts([d.target for d in documents], [str(d.source) for d in documents] if source_tokens else None)
            for documents in (learnt.train, learnt.validation)
        )
        longest = int(vocabulary.encode(train.targets, self.limits.target_tokens).mask.sum(1).max())
        encoding = Encoding(encoder, vocabulary, self.positions(longest), source_tokens, run)
        return encoding, encoding.corpus(train, validation, learnt.passages)

    def check(self, checkpoint_folder: Path) -> None:
        super().check(checkpoint_folder)
        shape = checkpoint.check_finished(checkpoint_folder, self.configured)["shape"]
        self.check_few_calls(checkpoint_folder, shape)

    def check_few_calls(self, checkpoint_folder: Path, shape: Mapping[str, int]) -> None:
        """Raise `UserError` unless the students and grids of the recipe are there and whole."""
        recipe = self.two_stages()
        distillation.check_students(checkpoint_folder, recipe.distillation, lambda: self.build(shape).denoiser)
        if recipe.grid_share > 0:
            time_grids.load(checkpoint_folder)

    def load(self, checkpoint_folder: Path, *, device: str, dtype: str) -> None:
        super().load(checkpoint_folder, device=device, dtype=dtype)
        self.weights = DenoiserWeights(self.model.denoiser, checkpoint_folder)
        if self.two_stages().grid_share > 0:
            self.noises = time_grids.load(checkpoint_folder)
        if self.limits.source_tokens > 0:
            self.encoder = TextEncoder(encoder_name(self.two_stages().text_encoder, MINILM), device)
            if self.encoder.fingerprint != checkpoint.notes(checkpoint_folder).get("text_encoder"):
                other = f"another text encoder than {self.encoder.folder}"
                raise UserError(f"{checkpoint_folder} was trained with {other}; fit it elsewhere.")

    def ready(
        self, shape: Mapping[str, int], vocabulary: Vocabulary, model: nn.Module, *, device: str, dtype: str
    ) -> None:
        standardiser = copy.deepcopy(model.standardiser)  # not rounded, as its states come in float32
        super().ready(shape, vocabulary, model, device=device, dtype=dtype)
        self.model.standardiser = standardiser.to(self.device)
        self.model.denoiser.normaliser.float()  # what is diffused stays float32 between the networks
        self.encoder = None
        self.weights, self.noises = DenoiserWeights(self.model.denoiser, None), None

    def longest(self) -> dict[str, int]:
        return {"length": self.positions(self.limits.target_tokens), "text_width": self.text_width()}

    def text_width(self) -> int:
        """That of the encoder's states, without loading it."""
        encoder = self.two_stages().text_encoder
        for preset in PRESETS.values():
            if preset.text_encoder == encoder:
                return preset.autoencoder.text_width
        raise UserError(f"The width of the encoder '{encoder}' is not known without loading it; choose a preset's.")

    def networks(self) -> Mapping[str, Any]:
        """The denoiser, whose calls are the number of function evaluations, then what else generation calls."""
        networks: dict[str, nn.Module] = {"denoiser": self.model.denoiser, self.decoder_name: self.decoder()}
        return networks | self.model.denoiser.conditioning_networks(self.encoder)

    def check_setting(self, setting: Setting) -> None:
        recipe, conditional = self.two_stages(), self.limits.source_tokens > 0
        distillation.check_guided_teacher(recipe.distillation, recipe.diffusion, conditional)
        if isinstance(setting, DistilledSampling):
            distillation.check_student(recipe.distillation, setting.steps)
            return
        if isinstance(setting, OptimisedSampling):
            time_grids.check_calls(recipe.grid_share, setting.steps)
        if not setting.self_conditioned and not recipe.diffusion.self_conditioned:
            raise UserError("The denoiser is trained without estimates in any case; leave self_conditioned out.")
        check_guidance(setting, self._diffusion(setting), conditional)

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        if not requests:
            return []
        self.weights.use(setting.steps if isinstance(setting, DistilledSampling) else 0)
        with torch.inference_mode():
            source = self._source([str(request.source) for request in requests], static=setting.capture != "off")

            def draw(seeds: Tensor) -> Tensor:
                return self.sample_tokens(setting, seeds.to(self.device), *source)

            return mbr.generate(requests, draw, self.candidates(setting), self.vocabulary)

    def candidates(self, setting: Setting) -> int:
        """How many texts are made of each request, of which one is kept."""
        return 1

    def sample_tokens(self, setting: Setting, seeds: Tensor, *source: Tensor) -> Tensor:
        """Compact tokens int64 [B, L], without [CLS], here by one captured call; arguments as in `latents`."""
        return captured(self, self.tokens, setting.capture, setting)(seeds, *source)

    def tokens(self, setting: Setting, seeds: Tensor, *source: Tensor) -> Tensor:
        latents = self.latents(setting, seeds, *source)
        return self.logits(latents, SourceStates(*source) if source else None)[:, 1:, : len(self.vocabulary)].argmax(-1)

    def latents(self, setting: Setting, seeds: Tensor, *source: Tensor) -> Tensor:
        """Standardised latents [B, N, C], from int64 seeds [B] and, of sources, their states [B, S, T] and mask."""
        states, recipe = SourceStates(*source) if source else None, self.two_stages()
        denoiser, grid = self.model.denoiser, None
        if isinstance(setting, DistilledSampling):
            how = recipe.distillation, setting.steps
            return sample_distilled(denoiser, recipe.diffusion, *how, seeds, states, setting.compiled)
        if isinstance(setting, OptimisedSampling):
            grid = time_grids.grid_of(self.noises, recipe.diffusion, setting.steps)
            setting = replace(setting, final_x0=False)  # the grid's last call makes it
        if not setting.self_conditioned:
            setting = replace(setting, self_guidance=1.0)
        return sample_latents(denoiser, self._diffusion(setting), setting, seeds, states, setting.compiled, grid)

    def _diffusion(self, setting: LatentSamplingSetting) -> DiffusionConfig:
        """The objective, as far as a setting asks for it."""
        diffusion = self.two_stages().diffusion
        return diffusion if setting.self_conditioned else replace(diffusion, self_conditioning="off")

    def _source(self, texts: Sequence[str], static: bool) -> tuple[Tensor, ...]:
        """Standardised states [B, S, T] of sources in the networks' dtype, and their mask bool [B, S], or nothing."""
        if self.encoder is None:
            return ()
        states, mask = self.model.standardiser.encode(self.encoder, texts, self.limits.source_tokens, static)
        return states.to(next(self.model.denoiser.parameters()).dtype), mask
