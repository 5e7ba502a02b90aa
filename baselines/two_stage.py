"""What rivals on a frozen text encoder share: fit, load, and the encoding of sources. A rival adds two stages.

First a reader is trained, which turns what is diffused into tokens; then the denoiser. The budget pays for everything:
encoding the texts comes first, of as many documents as `encoding_share` pays for (`baselines.affordable`), then
`reader_share` of what is left trains the reader, and the rest the denoiser.
Networks, losses, caches and the training loop are those of `cosmos`.

Axis legend in `cosmos.blocks`.
"""

from __future__ import annotations

import shutil
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from baselines import checkpoint
from baselines.affordable import CHOICE, affordable
from baselines.contract import Budget, Corpus, Document, Fitted, Progress, Request, Sample, UserError, silent
from baselines.fitting import TrainedSystem, flops_per_step
from baselines.sequence import read_samples
from cosmos import resume
from cosmos.capture import Capturable, Capture, captured
from cosmos.config import MINILM, PRESETS, SamplerSetting
from cosmos.denoiser import Denoiser, Source
from cosmos.encoding import Cost, Encoding
from cosmos.files import make_folder, read_json, write_json
from cosmos.flops import measure_flops
from cosmos.processes import find_processes
from cosmos.randomness import Seeds
from cosmos.rows import TextRows
from cosmos.samplers import Denoise, check_guidance, check_self_guidance, guided, sample, self_guided, with_network
from cosmos.schedule import make_schedule
from cosmos.standardiser import Standardiser
from cosmos.state_cache import CachedStates
from cosmos.text_encoder import TextEncoder
from cosmos.train import encoder_name
from cosmos.training import Batches, Loss, Trained, TrainingConfig, train
from cosmos.vocabulary import Vocabulary

READER, DENOISER = "reader", "denoiser"
START = "start.json"  # what first weights cost, while training


@dataclass(frozen=True)
class LatentSampling(SamplerSetting, Capturable):
    """How to generate: the sampler, and whether its loop is captured."""


@dataclass(frozen=True)
class Documents:
    """Documents with their frozen states."""

    targets: TextRows
    key: str  # a hash of the targets
    sources: CachedStates | None


@dataclass(frozen=True)
class Work:
    """What a stage trains on, and what it is measured on (with the same loss)."""

    loss: Loss
    data: Batches
    validation: Batches | None


class Parts(nn.Module):
    """All that a checkpoint holds."""

    def __init__(self, text_width: int, reader: nn.Module, denoiser: Denoiser) -> None:
        super().__init__()
        self.standardiser = Standardiser(text_width)
        self.reader, self.denoiser = reader, denoiser


class TwoStageRival(TrainedSystem):
    """A rival that diffuses what it makes of a frozen encoder's states.

    Recipes have `text_encoder`, `reader_training`, `denoiser_training`, `reader_share`, `encoding_share`, `diffusion`
    and `budget`.
    """

    model: Parts

    @staticmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        """The frozen encoder, whose states are learnt from."""
        return (recipe.text_encoder,)

    # -- what a rival adds --------------------------------------------------------------------------------------------

    def canvas(self, longest: int) -> int:
        """Positions of a target, [CLS] and [SEP] included; that of the longest training target, rounded up to fours.

        Positions that no text needs would cost without use.
        """
        return min(self.limits.target_tokens, -(-longest // 4) * 4)

    @abstractmethod
    def build(self, shape: Mapping[str, int]) -> Parts:
        """All networks, with fresh weights; `shape` holds "vocabulary", "canvas" and "text_width"."""

    def start(self, model: Parts, train: Documents, seed: int) -> None:
        """Better first weights for the reader than random ones; here none."""

    @abstractmethod
    def reading(self, model: Parts, train: Documents, validation: Documents | None) -> Work:
        """The first stage."""

    @abstractmethod
    def denoising(
        self, model: Parts, train: Documents, validation: Documents | None, encoding: Encoding, workdir: Path
    ) -> Work:
        """The second stage, once the reader is trained; what it computes of the texts is added to `encoding.paid`."""

    @abstractmethod
    def read(self, latents: Tensor, source: Sequence[Tensor], capture: Capture) -> Tensor:
        """Compact tokens int64 [B, L], without [CLS], from latents [B, N, C]; `source` as in `latents`."""

    # -- the contract -------------------------------------------------------------------------------------------------

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> Fitted:
        """Train both stages within the budget and leave a checkpoint; see the contract."""
        given = checkpoint.inputs(corpus, budget, seed)
        done = checkpoint.finished(workdir, self.configured, given)
        if done is not None:
            return done
        if not corpus.train:
            raise UserError(f"There is nothing to train '{self.name}' on; give at least one document.")
        encoder = TextEncoder(encoder_name(self.recipe.text_encoder, MINILM), device)
        texts = (text for d in corpus.train for text in (d.source, d.target) if text is not None)
        vocabulary = Vocabulary.of(texts, str(encoder.folder))
        corpus = affordable(
            corpus,
            encoder,
            self.limits,
            budget,
            share=self.recipe.encoding_share,
            batch_size=max(self.recipe.reader_training.batch_size, self.recipe.denoiser_training.batch_size),
            workdir=workdir,
            device=device,
        )
        targets = [document.target for document in corpus.train]
        longest = int(vocabulary.encode(targets, self.limits.target_tokens).mask.sum(1).max())
        canvas = self.canvas(longest)
        shape = {"vocabulary": vocabulary.padded_size, "canvas": canvas, "text_width": encoder.width}

        encoding = Encoding(workdir / "states", encoder, self.name, device, progress)
        data = self._documents(corpus.train, vocabulary, canvas, encoding)
        held_out = self._documents(corpus.validation, vocabulary, canvas, encoding) if corpus.validation else None
        model = self.fresh(shape, seed)
        model.standardiser = Standardiser.of(data.targets.states.statistics())
        model.to(find_processes(device).device)
        encoding.paid.append(_measured(lambda: self.start(model, data, seed), workdir / START))
        first = encoding.left(budget).part(self.recipe.reader_share)

        def stage(name: str, network: nn.Module, work: Work, training: TrainingConfig, part: Budget) -> Trained:
            return train(
                network,
                work.loss,
                work.data,
                config=training,
                budget=part,
                workdir=workdir / "training",
                seed=seed,
                device=device,
                flops_per_step=flops_per_step(network, work.loss, work.data, training, device),
                stage=name,
                validation=work.validation,
                progress=progress,
            )

        reader = stage(
            READER, model.reader, self.reading(model, data, held_out), self.recipe.reader_training, first
        )  # fmt: skip
        work = self.denoising(model, data, held_out, encoding, workdir)
        left = encoding.left(budget)
        second = Budget(left.amount - first.amount, left.unit)
        denoiser = stage(DENOISER, model.denoiser, work, self.recipe.denoiser_training, second)
        fitted = Fitted(
            steps=reader.steps + denoiser.steps,
            seconds=reader.seconds + denoiser.seconds + encoding.seconds,
            flops=reader.flops + denoiser.flops + encoding.flops,
            validation_loss=denoiser.validation_loss,
            notes={
                "documents": len(corpus.train),
                "validation_documents": len(corpus.validation),
                "reader": asdict(reader),
                "denoiser": asdict(denoiser),
                "encoding_seconds": encoding.seconds,
                "encoding_flops": encoding.flops,
                "parameters": sum(value.numel() for value in resume.trainable(model).values()),
                "text_encoder": encoder.fingerprint,
                "cut_targets": data.targets.states.cut,
                "cut_sources": 0 if data.sources is None else data.sources.cut,
                **shape,
            },
        )
        checkpoint.save(workdir, self.configured, given, shape, vocabulary, model, fitted)
        for folder in ("states", "latents", "validation_latents"):  # caches: large, and never read again
            shutil.rmtree(workdir / folder, ignore_errors=True)
        for file in (CHOICE, START):
            (workdir / file).unlink()
        return fitted

    def load(self, checkpoint_folder: Path, *, device: str, dtype: str) -> None:
        """Read the checkpoint, with the text encoder where requests have sources."""
        super().load(checkpoint_folder, device=device, dtype=dtype)
        if self.limits.source_tokens > 0:
            self.encoder = TextEncoder(encoder_name(self.recipe.text_encoder, MINILM), device)
            notes = read_json(checkpoint_folder / checkpoint.FIT)["fitted"]["notes"]
            if self.encoder.fingerprint != notes["text_encoder"]:
                raise UserError(
                    f"{checkpoint_folder} was trained with another text encoder than {self.encoder.folder}; "
                    "fit it elsewhere."
                )

    def ready(
        self, shape: Mapping[str, int], vocabulary: Vocabulary, model: nn.Module, *, device: str, dtype: str
    ) -> None:
        super().ready(shape, vocabulary, model, device=device, dtype=dtype)
        self.model.standardiser.float()
        self.model.denoiser.normaliser.float()  # what is diffused stays float32 between the networks
        self.encoder = None

    def longest(self) -> dict[str, int]:
        wanted = self.recipe.text_encoder
        widths = (p.autoencoder.text_width for p in PRESETS.values() if p.text_encoder == wanted)
        width = next(widths, None)
        if width is None:
            raise UserError(f"The width of the encoder '{wanted}' is not known without loading it; choose a preset's.")
        return {"canvas": self.canvas(self.limits.target_tokens), "text_width": width}

    def networks(self) -> Mapping[str, Any]:
        """The denoiser, whose calls are the number of function evaluations, then what else generation calls."""
        found: dict[str, nn.Module] = {DENOISER: self.model.denoiser, READER: self.decoder()}
        if self.encoder is not None:
            found |= {"condition_encoder": self.model.denoiser.source_encoder, "text_encoder": self.encoder.network}
        return found

    def decoder(self) -> nn.Module:
        """The part of the reader that generation calls."""
        return self.model.reader

    def check_setting(self, setting: LatentSampling) -> None:
        """Refuse guidance where there is nothing to guide by."""
        check_guidance(setting, self.recipe.diffusion, self.limits.source_tokens > 0)

    def generate(self, requests: Sequence[Request], setting: LatentSampling) -> list[Sample]:
        """One text per request; all go through the networks as one batch."""
        if not requests:
            return []
        capture = setting.capture
        with torch.inference_mode():
            source = self._source([request.source for request in requests], fixed=capture != "off")
            seeds = torch.tensor([request.seed for request in requests], device=self.device)
            latents = captured(self, self.latents, capture, setting)(seeds, *source)
            tokens = self.read(latents, source, capture)
        return read_samples(requests, tokens, self.vocabulary)

    def latents(self, setting: LatentSampling, seeds: Tensor, *source: Tensor) -> Tensor:
        """Standardised latents [B, N, C], drawn with the setting's solver; a function of tensors that can be captured.

        Args:
            seeds: int64 [B].
            source: none, or standardised states [B, S, T] and mask bool [B, S].
        """
        check_self_guidance(setting, self.recipe.diffusion)
        denoiser, streams = self.model.denoiser, Seeds(seeds, setting.compiled)
        schedule = make_schedule(self.recipe.diffusion.schedule)
        condition = denoiser.encode_condition(Source(*source)) if source else None
        informed = self.recipe.diffusion.self_conditioned
        denoise: Denoise = with_network(denoiser, condition, self_conditioned=informed)
        if condition is not None and setting.guidance != 1.0:
            free = with_network(denoiser, denoiser.null_condition(len(seeds)), self_conditioned=informed)
            denoise = guided(denoise, free, setting.guidance, setting.guidance_window, schedule)
        denoise = self_guided(denoise, setting.self_guidance)
        start = streams.normal(denoiser.config.latents, denoiser.config.latent_width)
        return sample(denoise, start, setting, schedule, streams)

    def _documents(
        self, documents: Sequence[Document], vocabulary: Vocabulary, canvas: int, encoding: Encoding
    ) -> Documents:
        targets = [document.target for document in documents]
        states, key = encoding.states(targets, canvas)
        rows = TextRows(states, targets, vocabulary, canvas)
        if self.limits.source_tokens == 0:
            return Documents(rows, key, None)
        sources, _ = encoding.states([str(document.source) for document in documents], self.limits.source_tokens)
        return Documents(rows, key, sources)

    def _source(self, texts: Sequence[str | None], fixed: bool) -> tuple[Tensor, ...]:
        """Standardised states [B, S, T] of sources in the networks' dtype, and their mask bool [B, S]; nothing for an
        unconditional model. S is that of the longest source, or the limit if fixed.
        """
        if self.encoder is None:
            return ()
        limit = self.limits.source_tokens
        states, mask, _ = self.encoder.encode([str(text) for text in texts], limit, pad_to=limit if fixed else None)
        dtype = next(self.model.denoiser.parameters()).dtype
        return self.model.standardiser(states, mask).to(dtype), mask


def _measured(start: Callable[[], None], costs: Path) -> Cost:
    """Do it and say what it costs; that of the first time, however often resumed."""
    began = time.perf_counter()
    flops = measure_flops(start)
    if not costs.exists():
        make_folder(costs.parent)
        write_json(costs, {"seconds": time.perf_counter() - began, "flops": flops})
    return Cost(**read_json(costs))
