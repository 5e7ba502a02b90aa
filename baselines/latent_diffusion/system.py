"""Latent diffusion behind the contract: what Cosmos, TEncDM and LD4LG share. A system adds its networks and its losses.

All have a frozen text encoder and train in two stages: first a decoder, which turns what is diffused into tokens (and,
where texts are compressed, what compresses them), then the denoiser. The budget pays for everything: first for encoding
as many documents as `encoding_share` of it allows (`baselines.latent_diffusion.encoding_budget`), or, where states are
computed in the loop, a sample of all, and then each step for its own. Where a recipe does not say (`states` and
`clean_latents` are "auto"), states and latents are computed before training if that share pays for all texts and they
fit (`cosmos.stages.MOST_STORED`), and else in the loop. What is left is split between the stages, and each pays from
its part for what is computed before it trains: a linear start, latents. With an `adaptation_share` there is a third
stage, which has that share of what is left: a copy of the decoder learns to read what the denoiser makes
(`cosmos.adaptation`), is kept beside the first, and is what generation calls.

A decoder emits a fixed number of positions, which the checkpoint keeps: that of the longest training target, rounded up
to a multiple of four, within the task's limit.

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.common import checkpoint, mbr
from baselines.common.system import TrainedSystem
from baselines.contract import Budget, Corpus, Progress, Request, Sample, TrainingResult, UserError, silent
from baselines.latent_diffusion import distillation, time_grids
from baselines.latent_diffusion.distillation import DenoiserWeights, DistilledSampling
from baselines.latent_diffusion.encoding_budget import affordable, place_of_states
from baselines.latent_diffusion.networks import LatentNetworks
from baselines.latent_diffusion.recipe import LatentRecipe
from baselines.latent_diffusion.settings import LatentSamplingSetting, OptimisedSampling, Setting
from baselines.latent_diffusion.shared_decoder import BeginsElsewhere, SharedDecoder, encoder_of, named
from baselines.latent_diffusion.training import TrainsInStages
from cosmos.adaptation import ADAPTED, Read
from cosmos.config import MINILM, PRESETS, DenoiserConfig, DiffusionConfig, Place
from cosmos.data.encoding import SAMPLE, EncodedCorpus, Encoding
from cosmos.diffusion.distillation import sample_distilled
from cosmos.diffusion.samplers import check_guidance, sample_latents
from cosmos.io import artifact, safetensors
from cosmos.models.denoiser import SourceStates
from cosmos.models.standardiser import Standardiser
from cosmos.runtime.capture import captured, place_of_inputs
from cosmos.stages import measured, source_of
from cosmos.text.encoder import TextEncoder, find_layers, fingerprint_of
from cosmos.text.files import Texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.train import encoder_name
from cosmos.training import resume
from cosmos.training.batches import Batch
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import TrainingStage


class LatentDiffusionSystem(TrainsInStages, BeginsElsewhere, TrainedSystem):
    """A system that diffuses what it makes of a frozen encoder's states."""

    no_likelihood: ClassVar[str] = "latent diffusion has no likelihood of a text that could be computed"
    model: LatentNetworks
    encoder: TextEncoder | None
    noises: time_grids.Noises | None  # of the checkpoint's grids
    decoder_name: ClassVar[str] = "decoder"  # among `networks`
    denoiser_stage: ClassVar[str] = "denoiser"  # what its training is called

    @staticmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        return (recipe.text_encoder, *named(recipe.decoder))

    @staticmethod
    def shared_tokenizer(recipe: Any) -> str | None:
        return encoder_name(recipe.text_encoder, MINILM)

    def locate_weights(self) -> None:
        recipe = self.latent_recipe()
        find_layers(encoder_name(recipe.text_encoder, MINILM), recipe.encoder_layers)
        if recipe.decoder is not None:
            self.shared()

    def latent_recipe(self) -> LatentRecipe:
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
            self.latent_recipe().denoiser,
            latents=latents,
            latent_width=latent_width,
            source_width=shape["text_width"] if self.limits.source_tokens > 0 else None,
            max_source_tokens=max(1, self.limits.source_tokens),
        )

    def decode(self, latents: Tensor, source: SourceStates | None, vocabulary: int) -> Tensor:
        """The most probable of so many tokens at each position after [CLS], int64 [B, L], from standardised latents
        [B, N, C], where all are decoded at once. A decoder from elsewhere may write longer texts than the task wants;
        only those positions are read that it does."""
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
        """What generation calls of what the first stage trained: the adapted one, where there is one."""
        return self.decoder_of(self.model)

    def decoder_of(self, model: LatentNetworks) -> nn.Module:
        """The part of what the first stage trains that generation calls."""
        return model.decoder

    def reads(self, model: LatentNetworks) -> Read:
        """How a decoder, and what it loses, is computed from what the denoiser makes."""
        raise NotImplementedError

    def save(
        self,
        folder: Path,
        vocabulary: Vocabulary,
        model: LatentNetworks,
        encoder: TextEncoder,
        adapted: nn.Module | None,
    ) -> None:
        checkpoint.save_networks(folder, self.name, vocabulary, model)
        if adapted is not None:
            safetensors.save(folder / ADAPTED, resume.weights(adapted), {"system": self.name})

    def check(self, checkpoint_folder: Path) -> None:
        shape = checkpoint.check(checkpoint_folder, self.configured, self.build)
        if self.latent_recipe().adaptation_share > 0:
            with torch.device("meta"):
                decoder = self.decoder_of(self.build(shape))
            safetensors.check(checkpoint_folder / ADAPTED, _shapes(decoder))
        self.check_few_calls(checkpoint_folder, shape)

    def read_checkpoint(self, checkpoint_folder: Path) -> tuple[Mapping[str, int], Vocabulary, LatentNetworks]:
        shape, vocabulary, model = super().read_checkpoint(checkpoint_folder)
        assert isinstance(model, LatentNetworks)
        if self.latent_recipe().adaptation_share > 0:
            decoder = self.decoder_of(model)
            resume.load_weights(decoder, safetensors.load(checkpoint_folder / ADAPTED, _shapes(decoder)))
        return shape, vocabulary, model

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> TrainingResult:
        fitted = super().fit(corpus, budget, workdir, seed=seed, device=device, progress=progress)
        # Caches are large, and never read again: only logs stay. What a kill has left behind a finished checkpoint goes
        # too.
        find_processes(device).once(lambda: checkpoint.keep_logs(workdir / checkpoint.TRAINING))
        return fitted

    def read_files(self) -> Sequence[Any]:
        """The text encoder's fingerprint, and the hashes of the first stage's files, where it comes from elsewhere."""
        recipe = self.latent_recipe()
        encoder = fingerprint_of(encoder_name(recipe.text_encoder, MINILM), recipe.encoder_layers)
        return (encoder, None if recipe.decoder is None else self.shared().about["files"])

    def fit_networks(self, corpus: Corpus, budget: Budget, workdir: Path, run: TrainingRun) -> TrainingResult:
        recipe = self.latent_recipe()
        encoder = encoder_of(recipe, run.device)
        shared = None if recipe.decoder is None else self.shared()
        whole = replace(corpus, passages=() if shared is not None else self.passages(corpus, encoder))
        encoded = affordable(
            replace(whole, passages=()) if recipe.states == "loop" else whole,
            encoder,
            self.limits,
            budget,
            share=recipe.encoding_share,
            batch_size=max(recipe.decoder_training.batch_size, recipe.denoiser_training.batch_size),
            run=run,
            no_passages=recipe.states == "auto",
        )
        place = place_of_states(recipe.states, whole, encoded, encoder, self.limits)
        in_loop = place == "loop"
        learnt = replace(whole, validation=encoded.validation) if in_loop else encoded
        encoding, data = self._encoded(corpus, learnt, encoder, run, min(SAMPLE, len(encoded.train)), shared, place)
        data = replace(data, once=len(encoded.train) == len(learnt.train))
        vocabulary, targets = encoding.vocabulary, data.train.targets
        shape = {"vocabulary": vocabulary.padded_size, "length": encoding.max_tokens, "text_width": encoder.width}
        left = budget.after(data.cost, "Encoding the texts")
        first_share = recipe.decoder_share if shared is None else 0.0
        last_shares = recipe.adaptation_share + recipe.distillation.share + recipe.grid_share
        data = replace(data, second=left.part((1.0 - last_shares) * (1.0 - first_share)))
        model = self.fresh(shape, run.seed)
        if shared is None:
            model.standardiser = Standardiser.of(data.sample.states.statistics())
        else:
            artifact.check_files(shared.folder, shared.about)
            self.load_decoder(shared, model)
        model.to(find_processes(run.device).device)
        begin = (lambda: self.start(model, data, encoder, run.seed)) if shared is None else model.eval
        start = measured(begin, run)
        stages = self.train_networks(model, data, left, start, run)
        trained, looking = stages.trained, Cost() if stages.grids is None else stages.grids["cost"]

        cost = Cost.total([data.cost, start, stages.prepared])
        fitted = TrainingResult(
            steps=sum(stage.steps for stage in trained.values()),
            seconds=sum(stage.seconds for stage in trained.values()) + cost.seconds + looking.seconds,
            flops=sum(stage.flops for stage in trained.values()) + cost.flops + looking.flops,
            validation_loss=stages.validation_loss,
            notes={
                "documents": len(learnt.train),
                "validation_documents": len(learnt.validation),
                "passages": len(learnt.passages),
                **{name: asdict(stage) for name, stage in trained.items()},
                **({} if shared is None else {"first_stage": shared.notes}),
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
        if find_processes(run.device).rank == 0:
            checkpoint.save_configuration(workdir, self.configured, shape)
            self.save(workdir, vocabulary, model, encoder, stages.adapted)
            if stages.grids is not None:
                time_grids.save(workdir, stages.grids)
            distillation.save_students(workdir, stages.students)
        return fitted

    def _encoded(
        self,
        corpus: Corpus,
        learnt: Corpus,
        encoder: TextEncoder,
        run: TrainingRun,
        sample: int,
        shared: SharedDecoder | None,
        place: Place,
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
        positions = self.positions(longest) if shared is None else self.shared_positions(shared, longest)
        encoding = Encoding(encoder, vocabulary, positions, source_tokens, run, place)
        return encoding, encoding.corpus(train, validation, learnt.passages, sample)

    def check_few_calls(self, checkpoint_folder: Path, shape: Mapping[str, int]) -> None:
        """Raise `UserError` unless the students and grids of the recipe are there and whole."""
        recipe = self.latent_recipe()
        distillation.check_students(checkpoint_folder, recipe.distillation, lambda: self.build(shape).denoiser)
        if recipe.grid_share > 0:
            time_grids.load(checkpoint_folder)

    def load(self, checkpoint_folder: Path, *, device: str, dtype: str) -> None:
        super().load(checkpoint_folder, device=device, dtype=dtype)
        self.weights = DenoiserWeights(self.model.denoiser, checkpoint_folder)
        if self.latent_recipe().grid_share > 0:
            self.noises = time_grids.load(checkpoint_folder)
        if self.limits.source_tokens > 0:
            self.encoder = encoder_of(self.latent_recipe(), device)
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
        encoder = self.latent_recipe().text_encoder
        for preset in PRESETS.values():
            if preset.text_encoder == encoder:
                return preset.autoencoder.text_width
        raise UserError(f"The width of the encoder '{encoder}' is not known without loading it; choose a preset's.")

    def networks(self) -> Mapping[str, Any]:
        """The denoiser, whose calls are the number of function evaluations, then what else generation calls."""
        networks: dict[str, nn.Module] = {"denoiser": self.model.denoiser, self.decoder_name: self.decoder()}
        return networks | self.model.denoiser.conditioning_networks(self.encoder)

    def check_setting(self, setting: Setting) -> None:
        recipe, conditional = self.latent_recipe(), self.limits.source_tokens > 0
        distillation.check_guided_teacher(recipe.distillation, recipe.diffusion, conditional)
        if isinstance(setting, DistilledSampling):
            distillation.check_student(recipe.distillation, setting)
            return
        if isinstance(setting, OptimisedSampling):
            time_grids.check_calls(recipe.grid_share, setting.steps)
        if not setting.self_conditioned and not recipe.diffusion.self_conditioned:
            raise UserError("The denoiser is trained without estimates in any case; leave self_conditioned out.")
        check_guidance(setting, self._diffusion(setting), conditional)

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        if not requests:
            return []
        self.weights.use(distillation.student_name(setting, self.latent_recipe().distillation))
        with torch.inference_mode():
            source = self._source((str(request.source) for request in requests), static=setting.capture != "off")

            def draw(seeds: Tensor) -> Tensor:
                return self.sample_tokens(setting, seeds.to(place_of_inputs(setting.capture, self.device)), *source)

            return mbr.generate(requests, draw, self.candidates(setting), self.vocabulary)

    def candidates(self, setting: Setting) -> int:
        """How many texts are made of each request, of which one is kept."""
        return 1

    def sample_tokens(self, setting: Setting, seeds: Tensor, *source: Tensor) -> Tensor:
        """Compact tokens int64 [B, L], without [CLS], here by one captured call; arguments as in `latents`."""
        alone = self.candidates(setting) == 1  # else the next ones are queued before these are read
        return captured(self, self.tokens, setting.capture, setting, to_host=alone)(seeds, *source)

    def tokens(self, setting: Setting, seeds: Tensor, *source: Tensor) -> Tensor:
        latents = self.latents(setting, seeds, *source)
        return self.decode(latents, SourceStates(*source) if source else None, len(self.vocabulary))

    def latents(self, setting: Setting, seeds: Tensor, *source: Tensor) -> Tensor:
        """Standardised latents [B, N, C], from int64 seeds [B] and, of sources, their states [B, S, T] and mask."""
        states, recipe = SourceStates(*source) if source else None, self.latent_recipe()
        denoiser, grid = self.model.denoiser, None
        if isinstance(setting, DistilledSampling):
            how = recipe.diffusion, recipe.distillation, setting.steps, seeds, states
            return sample_distilled(denoiser, *how, setting.compiled, setting.temperature, setting.method)
        if isinstance(setting, OptimisedSampling):
            grid = time_grids.grid_of(self.noises, recipe.diffusion, setting.steps)
            setting = replace(setting, final_x0=False)  # the grid's last call makes it
        if not setting.self_conditioned:
            setting = replace(setting, self_guidance=1.0)
        return sample_latents(denoiser, self._diffusion(setting), setting, seeds, states, setting.compiled, grid)

    def _diffusion(self, setting: LatentSamplingSetting) -> DiffusionConfig:
        """The objective, as far as a setting asks for it."""
        known = self.latent_recipe().diffusion
        return known if setting.self_conditioned else replace(known, self_conditioning="off")

    def _source(self, texts: Iterable[str], static: bool) -> tuple[Tensor, ...]:
        """Standardised states [B, S, T] of sources in the networks' dtype, and their mask bool [B, S], or nothing."""
        if self.encoder is None:
            return ()
        states, mask = self.model.standardiser.encode(self.encoder, list(texts), self.limits.source_tokens, static)
        return states.to(next(self.model.denoiser.parameters()).dtype), mask


def _shapes(decoder: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in resume.weights(decoder).items()}
