"""Latent diffusion behind the contract: what Cosmos, TEncDM and LD4LG share. A system adds its networks and its losses.

All have a frozen text encoder and train in two stages: first a decoder, which turns what is diffused into tokens (and,
where texts are compressed, what compresses them), then the denoiser. The budget pays for everything: first for encoding
as many documents as `encoding_share` of it allows (`baselines.latent_diffusion.encoding_budget`), or, where states are
computed in the loop, a sample of all, and then each step for its own (latents are computed before training where that
share pays for all documents, and else in the loop); what is left is split between the stages, and each pays from its
part for what is computed before it trains: a linear start, latents.

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
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from baselines.common import checkpoint, mbr
from baselines.common.system import TRAINING, TrainedSystem
from baselines.contract import Budget, Corpus, Progress, Request, Sample, TrainingResult, UserError, silent
from baselines.latent_diffusion.encoding_budget import affordable
from baselines.latent_diffusion.shared_decoder import BeginsElsewhere, SharedDecoder, named
from cosmos.config import (
    MINILM,
    PRESETS,
    DenoiserConfig,
    DiffusionConfig,
    Place,
    SamplerSetting,
    ScheduleConfig,
    check_layers,
    check_places,
)
from cosmos.data.encoding import SAMPLE, EncodedCorpus, Encoding
from cosmos.diffusion.samplers import check_guidance, sample_latents
from cosmos.io import artifact
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.models.standardiser import Standardiser
from cosmos.recipes import RECIPES, check_shares
from cosmos.runtime.capture import Capturable, captured
from cosmos.stages import measured
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import Texts
from cosmos.text.tokenizer import find_encoder
from cosmos.text.vocabulary import Vocabulary
from cosmos.train import encoder_name
from cosmos.training import resume
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import TrainingConfig, TrainingStage, train


@dataclass(frozen=True)
class LatentSamplingSetting(SamplerSetting, Capturable):
    """How to generate: the sampler, and whether its loop is captured."""


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
    states: Place = "stored"  # of the frozen encoder; in the loop every batch pays for its own, before it none
    decoder: str | None = None  # the folder of a first stage that was trained once (`train-decoder`)

    def __post_init__(self) -> None:
        check_places(self.states)
        check_shares(decoder_share=self.decoder_share, encoding_share=self.encoding_share)
        if self.decoder_layers < 1:
            raise UserError(f"The decoder needs at least one layer, not {self.decoder_layers}.")
        check_layers(decoder_layers=self.decoder_layers)

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
            "states": cosmos.states,
        }
        return cls(**values | changes)


class LatentNetworks(nn.Module):
    """All that a checkpoint holds; `decoder` is what the first stage trains, of a type that the system knows."""

    def __init__(self, text_width: int, decoder: nn.Module, denoiser: Denoiser) -> None:
        super().__init__()
        self.standardiser = Standardiser(text_width)
        self.decoder, self.denoiser = decoder, denoiser


class LatentDiffusionSystem(BeginsElsewhere, TrainedSystem):
    """A system that diffuses what it makes of a frozen encoder's states."""

    no_likelihood: ClassVar[str] = "latent diffusion has no likelihood of a text that could be computed"
    model: LatentNetworks
    encoder: TextEncoder | None
    decoder_name: ClassVar[str] = "decoder"  # among `networks`

    @staticmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        return (recipe.text_encoder, *named(recipe.decoder))

    @staticmethod
    def shared_tokenizer(recipe: Any) -> str | None:
        return encoder_name(recipe.text_encoder, MINILM)

    def locate_weights(self) -> None:
        find_encoder(encoder_name(self.two_stages().text_encoder, MINILM))
        if self.two_stages().decoder is not None:
            self.shared()

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
        shared = None if recipe.decoder is None else self.shared()
        whole = replace(corpus, passages=() if shared is not None else self.passages(corpus, encoder))
        in_loop = recipe.states == "loop"
        encoded = affordable(
            replace(whole, passages=()) if in_loop else whole,
            encoder,
            self.limits,
            budget,
            share=recipe.encoding_share,
            batch_size=max(recipe.decoder_training.batch_size, recipe.denoiser_training.batch_size),
            run=run,
        )
        learnt = replace(whole, validation=encoded.validation) if in_loop else encoded
        encoding, data = self._encoded(corpus, learnt, encoder, run, min(SAMPLE, len(encoded.train)), shared)
        data = replace(data, once=len(encoded.train) == len(learnt.train))
        vocabulary, targets = encoding.vocabulary, data.train.targets
        shape = {"vocabulary": vocabulary.padded_size, "length": encoding.max_tokens, "text_width": encoder.width}
        left = budget.after(data.cost, "Encoding the texts")
        model = self.fresh(shape, run.seed)
        if shared is None:
            model.standardiser = Standardiser.of(data.sample.states.statistics())
        else:
            artifact.check_files(shared.folder, shared.about)
            self.load_decoder(shared, model)
        model.to(find_processes(run.device).device)
        begin = (lambda: self.start(model, data, encoder, run.seed)) if shared is None else model.eval
        start = measured(begin, run)
        trained, prepared = self.train_networks(model, data, left, start, run)

        cost = Cost.total([data.cost, start, prepared])
        fitted = TrainingResult(
            steps=sum(stage.steps for stage in trained.values()),
            seconds=sum(stage.seconds for stage in trained.values()) + cost.seconds,
            flops=sum(stage.flops for stage in trained.values()) + cost.flops,
            validation_loss=[*trained.values()][-1].validation_loss,
            notes={
                "documents": len(learnt.train),
                "validation_documents": len(learnt.validation),
                "passages": len(learnt.passages),
                **{name: asdict(stage) for name, stage in trained.items()},
                **({} if shared is None else {"first_stage": shared.notes}),
                "encoding_seconds": cost.seconds,
                "encoding_flops": cost.flops,
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

    def train_networks(
        self, model: LatentNetworks, data: EncodedCorpus, left: Budget, start: Cost, run: TrainingRun
    ) -> tuple[dict[str, TrainingResult], Cost]:
        """What each stage cost and reached, by its name, in their order, and what they paid for besides.

        Args:
            left: what encoding has left of the budget. start: what first weights cost, to be paid from it.
        """
        recipe, trained, share = self.two_stages(), dict[str, TrainingResult](), 0.0
        if recipe.decoder is None:
            share = recipe.decoder_share
            part = left.part(share).after(start, "The linear start")
            stage = self.first_stage(model, data)
            trained[stage.name] = train(stage, recipe.decoder_training, part, run)
        next_stage, prepared = self.second_stage(model, data, run)
        part = left.part(1.0 - share).after(prepared, "Computing the latents")
        trained[next_stage.name] = train(next_stage, recipe.denoiser_training, part, run)
        return trained, prepared

    def _encoded(
        self,
        corpus: Corpus,
        learnt: Corpus,
        encoder: TextEncoder,
        run: TrainingRun,
        sample: int,
        shared: SharedDecoder | None,
    ) -> tuple[Encoding, EncodedCorpus]:
        """Texts that are learnt from with their states, under the vocabulary of all documents, or that of a first stage
        from elsewhere; `sample` as in `Encoding.corpus`."""
        if shared is None:
            seen = [text for d in corpus.train for text in (d.source, d.target) if text is not None]
            vocabulary = Vocabulary.of([*seen, *learnt.passages], str(encoder.folder))
        else:
            vocabulary = Vocabulary.load(shared.folder / artifact.MODEL / checkpoint.VOCABULARY)
        source_tokens = self.limits.source_tokens
        train, validation = (
            Texts([d.target for d in documents], [str(d.source) for d in documents] if source_tokens else None)
            for documents in (learnt.train, learnt.validation)
        )
        longest = int(vocabulary.encode(train.targets, self.limits.target_tokens).mask.sum(1).max())
        place = self.two_stages().states
        positions = self.positions(longest) if shared is None else self.shared_positions(shared, longest)
        encoding = Encoding(encoder, vocabulary, positions, source_tokens, run, place)
        return encoding, encoding.corpus(train, validation, learnt.passages, sample)

    def load(self, checkpoint_folder: Path, *, device: str, dtype: str) -> None:
        super().load(checkpoint_folder, device=device, dtype=dtype)
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

    def check_setting(self, setting: LatentSamplingSetting) -> None:
        check_guidance(setting, self.two_stages().diffusion, self.limits.source_tokens > 0)

    def generate(self, requests: Sequence[Request], setting: LatentSamplingSetting) -> list[Sample]:
        if not requests:
            return []
        with torch.inference_mode():
            source = self._source([str(request.source) for request in requests], static=setting.capture != "off")

            def draw(seeds: Tensor) -> Tensor:
                return self.sample_tokens(setting, seeds.to(self.device), *source)

            return mbr.generate(requests, draw, self.candidates(setting), self.vocabulary)

    def candidates(self, setting: LatentSamplingSetting) -> int:
        """How many texts are made of each request, of which one is kept."""
        return 1

    def sample_tokens(self, setting: LatentSamplingSetting, seeds: Tensor, *source: Tensor) -> Tensor:
        """Compact tokens int64 [B, L], without [CLS], here by one captured call; arguments as in `latents`."""
        return captured(self, self.tokens, setting.capture, setting)(seeds, *source)

    def tokens(self, setting: LatentSamplingSetting, seeds: Tensor, *source: Tensor) -> Tensor:
        latents = self.latents(setting, seeds, *source)
        logits = self.logits(latents, SourceStates(*source) if source else None)
        # A decoder from elsewhere may write longer texts than the task wants.
        return logits[:, 1 : self.limits.target_tokens, : len(self.vocabulary)].argmax(-1)

    def latents(self, setting: LatentSamplingSetting, seeds: Tensor, *source: Tensor) -> Tensor:
        """Standardised latents [B, N, C], from int64 seeds [B] and, of sources, their states [B, S, T] and mask."""
        states, diffusion = SourceStates(*source) if source else None, self.two_stages().diffusion
        return sample_latents(self.model.denoiser, diffusion, setting, seeds, states, setting.compiled)

    def _source(self, texts: Sequence[str], static: bool) -> tuple[Tensor, ...]:
        """Standardised states [B, S, T] of sources in the networks' dtype, and their mask bool [B, S], or nothing."""
        if self.encoder is None:
            return ()
        states, mask = self.model.standardiser.encode(self.encoder, texts, self.limits.source_tokens, static)
        return states.to(next(self.model.denoiser.parameters()).dtype), mask
