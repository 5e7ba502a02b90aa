"""Cosmos behind the contract: the package `cosmos` itself, trained in its two stages under one budget.

The budget pays for everything: encoding the texts with the frozen encoder, the autoencoder, the latents, the denoiser.
Encoding comes first; it may cost the recipe's `encoding_share`, and where that does not pay for every document, the
first are learnt from (`baselines.affordable`), while rivals that write tokens see all. What encoding leaves is split by
`autoencoder_share`.

The paper's autoencoder learns from Wikipedia or OpenWebText, not from the task. Here it learns from the task's own
targets and, where the corpus has passages, from those too, in runs of whole sentences about as long as the longest
target; what is longer, a long sentence among them, is cut.

The decompressor emits a fixed number of positions: that of the longest training target, rounded up to a multiple of
four, within the task's limit. The checkpoint keeps it; positions that no text needs would cost without use.

How much is compressed is what the method is about, so it comes as contestants of their own, which one run can compare:
`cosmos` with the preset's number of latents, `cosmos-8`, `cosmos-16` and `cosmos-32`, and `cosmos-full` with a latent
for every position.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch

from baselines.affordable import CHOICE, affordable
from baselines.checkpoint import CONFIG, FIT, configuration, finished, inputs
from baselines.contract import Budget, Corpus, Document, Fitted, Limits, Progress, Request, Sample, UserError, silent
from baselines.sequence import read_samples
from baselines.untrained import made_up_texts, made_up_vocabulary, repeated, stand_in_encoder
from cosmos.autoencoder import Autoencoder
from cosmos.capture import Capturable, Capture
from cosmos.config import MINILM, AutoencoderConfig, SamplerSetting
from cosmos.denoiser import Denoiser
from cosmos.encoding import Encoding
from cosmos.files import make_folder, read_json, write_json
from cosmos.pipeline import Pipeline, check
from cosmos.recipes import RECIPES, Recipe, with_latents
from cosmos.samplers import check_guidance
from cosmos.standardiser import Standardiser
from cosmos.text_encoder import TextEncoder
from cosmos.texts import pieces
from cosmos.train import AUTOENCODER, DIFFUSION, encoder_name, train_autoencoder, train_diffusion
from cosmos.vocabulary import Vocabulary

MODEL = "model"  # the pipeline's folder within the checkpoint
TOKENS_PER_WORD = 1.5  # of English with its punctuation, about


@dataclass(frozen=True)
class CosmosSetting(SamplerSetting, Capturable):
    """How to generate: the sampler, and whether its loop is captured."""


class CosmosSystem:
    """Latent diffusion in a compressed, smooth space."""

    name: ClassVar[str] = "cosmos"
    method: ClassVar[str] = "cosmos"  # whatever the number of latents
    presets: ClassVar[Mapping[str, Any]] = RECIPES
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "dpmpp_2m-20": CosmosSetting("dpmpp_2m", steps=20, grid="log_snr", final_x0=True),
            "release-200": CosmosSetting(),
        }
    )
    other_settings: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "dpmpp_2m-50": CosmosSetting("dpmpp_2m", steps=50, grid="log_snr", final_x0=True),
            "dpmpp_2m-10": CosmosSetting("dpmpp_2m", steps=10, grid="log_snr", final_x0=True),
            "dpmpp_2m-5": CosmosSetting("dpmpp_2m", steps=5, grid="log_snr", final_x0=True),
            "guided-20": CosmosSetting("dpmpp_2m", steps=20, grid="log_snr", final_x0=True, guidance=1.5),
            "release-guided-200": CosmosSetting(guidance=1.5),
        }
    )
    trained: ClassVar[bool] = True

    def __init__(self, recipe: Recipe, limits: Limits) -> None:
        self.recipe, self.limits = recipe, limits
        self.configured = configuration(self.name, recipe, limits)

    @staticmethod
    def external_weights(recipe: Recipe) -> Sequence[str]:
        """The frozen encoder, whose states are learnt from."""
        return (recipe.model.text_encoder,)

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> Fitted:
        """Train both stages within the budget and leave a checkpoint; see the contract."""
        given = inputs(corpus, budget, seed)
        done = finished(workdir, self.configured, given)
        if done is not None:
            return done
        if not corpus.train:
            raise UserError(f"There is nothing to train '{self.name}' on; give at least one document.")
        make_folder(workdir)
        write_json(workdir / CONFIG, self.configured)
        conditional = self.limits.source_tokens > 0
        model = self.recipe.model
        encoder = TextEncoder(encoder_name(model.text_encoder, MINILM), device)
        chosen = affordable(
            replace(corpus, passages=self._pieces(corpus, encoder)),
            encoder,
            self.limits,
            budget,
            share=self.recipe.encoding_share,
            batch_size=max(self.recipe.autoencoder_training.batch_size, self.recipe.diffusion_training.batch_size),
            workdir=workdir,
            device=device,
        )
        texts = [document.target for document in chosen.train]
        held_out = [document.target for document in chosen.validation]
        sources = [str(document.source) for document in chosen.train] if conditional else None
        held_out_sources = [str(document.source) for document in chosen.validation] if conditional else None
        seen = [text for document in corpus.train for text in (document.target, document.source) if text is not None]
        vocabulary = Vocabulary.of([*seen, *chosen.passages], str(encoder.folder))
        canvas = self._canvas(vocabulary, texts)
        # Encoded here, so that the stages find the states and know what they cost.
        states = workdir / "states"
        of_targets, of_sources = (Encoding(states, encoder, s, device, progress) for s in (AUTOENCODER, DIFFUSION))
        for wanted in filter(None, (texts, held_out, chosen.passages)):
            of_targets.states(wanted, canvas)
        for wanted in filter(None, (sources, held_out_sources)):
            of_sources.states(wanted, self.limits.source_tokens)
        left = of_sources.left(of_targets.left(budget))
        pipeline, first = train_autoencoder(
            texts,
            held_out,
            encoder,
            vocabulary,
            config=self._sizes(canvas),
            corruption=model.corruption,
            training=self.recipe.autoencoder_training,
            budget=of_targets.and_more(left.part(self.recipe.autoencoder_share)),
            workdir=workdir / "autoencoder",
            states=states,
            seed=seed,
            device=device,
            passages=chosen.passages,
            start_linear=self.recipe.start_linear,
            progress=progress,
        )
        pipeline, second = train_diffusion(
            pipeline,
            texts,
            held_out,
            sources=sources,
            validation_sources=held_out_sources,
            config=replace(model.denoiser, max_source_tokens=max(1, self.limits.source_tokens)),
            diffusion=model.diffusion,
            training=self.recipe.diffusion_training,
            budget=of_sources.and_more(left.part(1.0 - self.recipe.autoencoder_share)),
            workdir=workdir / "diffusion",
            states=states,
            seed=seed,
            device=device,
            progress=progress,
        )
        fitted = Fitted(
            steps=first.steps + second.steps,
            seconds=first.seconds + second.seconds,
            flops=first.flops + second.flops,
            validation_loss=second.validation_loss,
            notes={
                "documents": len(chosen.train),
                "validation_documents": len(chosen.validation),
                "passages": len(chosen.passages),
                "autoencoder": asdict(first),
                "diffusion": asdict(second),
                "vocabulary": len(vocabulary),
            },
        )
        pipeline.save(workdir / MODEL)
        write_json(workdir / FIT, {"inputs": dict(given), "fitted": asdict(fitted)})
        for part in ("states", "autoencoder", "diffusion"):  # caches and logs: large, and never read again
            shutil.rmtree(workdir / part)
        (workdir / CHOICE).unlink()
        return fitted

    def check(self, checkpoint: Path) -> None:
        """Raise `UserError` unless the folder holds a whole checkpoint of this configuration; reads headers only."""
        if not (checkpoint / FIT).exists():
            raise UserError(f"{checkpoint} holds no finished checkpoint of '{self.name}'; fit it first.")
        known = read_json(checkpoint / CONFIG)
        changed = [key for key in self.configured if known.get(key) != self.configured[key]]
        if changed:
            raise UserError(
                f"The checkpoint in {checkpoint} has another {' and '.join(changed)} than asked for; fit it elsewhere."
            )
        read_json(checkpoint / FIT)
        check(checkpoint / MODEL)

    def load(self, checkpoint: Path, *, device: str, dtype: str) -> None:
        """Read the checkpoint, with the text encoder where requests have sources."""
        self.check(checkpoint)
        self.pipeline = Pipeline.load(
            checkpoint / MODEL,
            device=device,
            dtype={"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype],
            with_encoder=self.limits.source_tokens > 0,
        )

    def untrained(self, tokens: int, *, seed: int, device: str, dtype: str) -> None:
        """Make ready to generate with random weights; see `baselines.contract.Untrained`."""
        if self.limits.source_tokens > 0:
            raise UserError(f"Random weights of '{self.name}' are timed without sources; ask for 0 source tokens.")
        model, vocabulary = self.recipe.model, made_up_vocabulary(tokens)
        shape = self._sizes(self._positions(self.limits.target_tokens))
        shape = replace(shape, vocabulary=vocabulary.padded_size)
        denoiser = replace(model.denoiser, latents=shape.latents, latent_width=shape.latent_width, source_width=None)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            first, second = Autoencoder(shape), Denoiser(denoiser)
        kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
        second.to(device, kind).normaliser.float()
        self.pipeline = Pipeline(
            vocabulary=vocabulary,
            standardiser=Standardiser(shape.text_width).to(device),
            autoencoder=first.to(device, kind).eval(),
            denoiser=second.eval(),
            diffusion=model.diffusion,
        )

    def rehearsal(self, tokens: int, texts: int, folder: Path) -> tuple[Recipe, Corpus]:
        """What to fit on to time training steps; see `baselines.contract.Rehearsed`."""
        model, vocabulary, length = self.recipe.model, made_up_vocabulary(tokens), self.limits.target_tokens
        stand_in_encoder(vocabulary, model.autoencoder.text_width, length, folder)
        made = made_up_texts(vocabulary, texts, length - 2)  # [CLS] and [SEP] come on top
        documents = [Document(str(n), None, text, (text,)) for n, text in enumerate(made)]
        return replace(self.recipe, model=replace(model, text_encoder=str(folder))), Corpus(documents, ())

    def repeated(
        self, network: str, arguments: Sequence[Any], keywords: Mapping[str, Any], capture: Capture
    ) -> Callable[[], object]:
        """One network call, again and again; see `baselines.contract.Untrained`."""
        return repeated(self.pipeline, self.networks()[network], arguments, keywords, capture)

    def networks(self) -> Mapping[str, Any]:
        """The denoiser, whose calls are the number of function evaluations, then what else generation calls."""
        return self.pipeline.networks()

    def check_setting(self, setting: CosmosSetting) -> None:
        """Refuse guidance where there is nothing to guide by."""
        check_guidance(setting, self.recipe.model.diffusion, self.limits.source_tokens > 0)

    def generate(self, requests: Sequence[Request], setting: CosmosSetting) -> list[Sample]:
        """One text per request; all go through the networks as one batch."""
        if not requests:
            return []
        sources = [str(request.source) for request in requests] if self.limits.source_tokens > 0 else None
        seeds = [request.seed for request in requests]
        tokens = self.pipeline.sample_tokens(sources, seeds, setting, setting.capture)
        return read_samples(requests, tokens, self.pipeline.vocabulary)

    def _pieces(self, corpus: Corpus, encoder: TextEncoder) -> list[str]:
        """The passages, cut as the module's docstring has it."""
        if not corpus.passages:
            return []
        targets, _ = encoder.ids([document.target for document in corpus.train], self.limits.target_tokens)
        tokens = self._positions(max(map(len, targets))) - 2  # besides [CLS] and [SEP]
        return pieces(corpus.passages, max(1, int(tokens / TOKENS_PER_WORD)))

    def _canvas(self, vocabulary: Vocabulary, texts: Sequence[str]) -> int:
        """Positions of the decompressor; see the module's docstring."""
        return self._positions(int(vocabulary.encode(texts, self.limits.target_tokens).mask.sum(1).max()))

    def _positions(self, longest: int) -> int:
        positions = min(self.limits.target_tokens, -(-longest // 4) * 4)
        return positions if self.recipe.full else max(self.recipe.model.autoencoder.latents, positions)

    def _sizes(self, canvas: int) -> AutoencoderConfig:
        """Of the autoencoder, for so many positions."""
        sizes = self.recipe.model.autoencoder
        return replace(sizes, max_tokens=canvas, latents=canvas if self.recipe.full else sizes.latents)


def _with_latents(latents: int) -> Mapping[str, Recipe]:
    """The presets that have room for so many latents, with them."""
    room = {name: recipe for name, recipe in RECIPES.items() if latents <= recipe.model.autoencoder.max_tokens}
    return MappingProxyType({name: with_latents(recipe, latents) for name, recipe in room.items()})


class Cosmos8System(CosmosSystem):
    """Cosmos with 8 latents."""

    name: ClassVar[str] = "cosmos-8"
    presets: ClassVar[Mapping[str, Any]] = _with_latents(8)


class Cosmos16System(CosmosSystem):
    """Cosmos with 16 latents."""

    name: ClassVar[str] = "cosmos-16"
    presets: ClassVar[Mapping[str, Any]] = _with_latents(16)


class Cosmos32System(CosmosSystem):
    """Cosmos with 32 latents."""

    name: ClassVar[str] = "cosmos-32"
    presets: ClassVar[Mapping[str, Any]] = _with_latents(32)


class CosmosFullSystem(CosmosSystem):
    """Cosmos without compression: a latent for every position."""

    name: ClassVar[str] = "cosmos-full"
    presets: ClassVar[Mapping[str, Any]] = MappingProxyType({n: replace(r, full=True) for n, r in RECIPES.items()})
