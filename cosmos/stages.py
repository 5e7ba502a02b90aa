"""Stages of training, and the two of Cosmos: the autoencoder on states, the denoiser on latents (cosmos.md 1.6, 2.4).
Rivals that diffuse latents train theirs with the same functions.

Killed and called again with the same arguments, all of it takes up its work and ends with the same bytes: caches go on
where they were, finished training is read back, and every initial weight and every draw follows from the seed
(`cosmos.training.loop` says on which machines).

    run.workdir/states/<hash of the texts>/   frozen states
    run.workdir/start.json                    what first weights cost
    run.workdir/latents, validation_latents   second stage: clean latents of the targets
    run.workdir/<stage>.*                     what `cosmos.training.loop` leaves: resume points, log, weights

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cosmos.config import CorruptionConfig, DiffusionConfig
from cosmos.data.datasets import JoinedDataset, LatentDataset, TextDataset
from cosmos.data.encoding import EncodedCorpus, EncodedTexts, first_process_first
from cosmos.data.latent_cache import Compresses, cache_latents
from cosmos.diffusion.objective import diffusion_loss
from cosmos.io.files import make_folder, read_json, write_json
from cosmos.io.typed_json import read_as
from cosmos.models.autoencoder import Autoencoder, autoencoder_loss, token_accuracy
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.models.linear_init import TEXTS
from cosmos.models.standardiser import Standardiser
from cosmos.runtime.flops import measure_flops
from cosmos.runtime.rng import CounterRNG
from cosmos.training.batches import Batch, Rows
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingRun
from cosmos.training.loop import TrainingStage

AUTOENCODER, DIFFUSION = "autoencoder", "diffusion"

DiffusionLoss = Callable[[Any, Tensor, DiffusionConfig, CounterRNG, SourceStates | None], tuple[Tensor, Tensor]]
"""An objective of denoisers, with the arguments of `cosmos.diffusion.objective.diffusion_loss`."""


# -- any stage ---------------------------------------------------------------------------------------------------------


def measured(start: Callable[[], None], run: TrainingRun) -> Cost:
    """Give networks their first weights and say what that costs: what it did the first time, however often resumed."""
    costs = run.workdir / "start.json"
    began = time.perf_counter()
    flops = measure_flops(start)
    with first_process_first(run.device):
        if not costs.exists():
            make_folder(run.workdir)
            write_json(costs, {"seconds": time.perf_counter() - began, "flops": flops})
    return read_as(Cost, read_json(costs), str(costs), "delete it, and run again")


def first_texts(rows: TextDataset, standardiser: Standardiser) -> tuple[Tensor, Tensor, Tensor]:
    """What a linear start looks at: standardised states [B, L, T], mask [B, L] and tokens [B, L] of the first texts."""
    here = standardiser.mean.device
    batch = rows.batch(torch.arange(min(TEXTS, len(rows))))
    states, mask, tokens = (batch[name].to(here) for name in ("states", "mask", "tokens"))
    return standardiser(states, mask), mask, tokens


def source_of(standardiser: Standardiser, batch: Batch) -> SourceStates | None:
    """The standardised source of a batch, if it has one."""
    if "source" not in batch:
        return None
    mask = batch["source_mask"]
    return SourceStates(standardiser(batch["source"], mask), mask)


# -- the stages of Cosmos ----------------------------------------------------------------------------------------------


def autoencoder_stage(
    autoencoder: Autoencoder, standardiser: Standardiser, corruption: CorruptionConfig, corpus: EncodedCorpus
) -> TrainingStage:
    """The first stage, on targets and passages; validation is under clean input whatever the corruption."""
    loss = autoencoder_objective(standardiser, corruption)
    own, others = corpus.train.targets, corpus.passages
    return TrainingStage(
        AUTOENCODER,
        autoencoder,
        loss,
        own if others is None else JoinedDataset(own, others.targets),
        None if corpus.validation is None else corpus.validation.targets,
        lambda model, batch, seeds: loss(model, batch, None),
        of_tokens,
    )


def autoencoder_objective(
    standardiser: Standardiser, corruption: CorruptionConfig
) -> Callable[[Any, Batch, CounterRNG | None], tuple[Tensor, Tensor]]:
    """`cosmos.models.autoencoder.autoencoder_loss` of batches of raw states; without seeds under clean input."""

    def loss(model: Any, batch: Batch, seeds: CounterRNG | None) -> tuple[Tensor, Tensor]:
        states, mask, tokens = batch["states"], batch["mask"], batch["tokens"]
        positions, clean = batch.get("positions"), standardiser(states, mask)
        return autoencoder_loss(model, clean, tokens, mask, corruption, seeds, positions, batch.static_shapes)

    return loss


def of_tokens(rows: Rows) -> Tensor:
    """Positions with tokens, bool [B, L], of batches of texts (`cosmos.training.loop.TrainingStage.scored`)."""
    return rows["mask"]


class CachedCorpus(NamedTuple):
    """Clean latents of an encoded corpus, with the states of its sources, and what a budget pays for the latents."""

    train: LatentDataset
    validation: LatentDataset | None
    cost: Cost


def corpus_latents(
    autoencoder: Compresses, standardiser: Standardiser, corpus: EncodedCorpus, run: TrainingRun
) -> CachedCorpus:
    """What the second stage learns from, computed unless it is there."""

    def rows(texts: EncodedTexts, name: str) -> tuple[LatentDataset, Cost]:
        states, folder = texts.targets.states, run.workdir / name
        with first_process_first(run.device):
            latents, cost = cache_latents(autoencoder, standardiser, states, texts.key, folder, run.encoded)
        return LatentDataset(latents, texts.sources), cost

    learnt, cost = rows(corpus.train, "latents")
    held_out, more = (None, Cost()) if corpus.validation is None else rows(corpus.validation, "validation_latents")
    return CachedCorpus(learnt, held_out, Cost.total([cost, more.of_validation()]))


def diffusion_stage(
    denoiser: Denoiser,
    standardiser: Standardiser,
    corpus: CachedCorpus,
    diffusion: DiffusionConfig,
    objective: DiffusionLoss = diffusion_loss,
) -> TrainingStage:
    """The second stage, on standardised latents, given states of the sources, if any. The denoiser's normaliser is
    fitted on them."""
    denoiser.normaliser.fit(corpus.train.latents.split(1 << 12))

    def loss(model: Any, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        clean = model.normaliser.standardise(batch["latents"])
        return objective(model, clean, diffusion, seeds, source_of(standardiser, batch))

    return TrainingStage(DIFFUSION, denoiser, loss, corpus.train, corpus.validation)


@torch.no_grad()
def reconstruction(autoencoder: Autoencoder, standardiser: Standardiser, rows: TextDataset) -> dict[str, float]:
    """Share of tokens, and of whole texts, that come back right from clean input."""
    here = next(autoencoder.parameters()).device
    right, tokens, whole = 0.0, 0, 0
    for index in torch.arange(len(rows)).split(256):
        batch = {name: value.to(here) for name, value in rows.batch(index).items()}
        mask = batch["mask"]
        logits = autoencoder(standardiser(batch["states"], mask), mask).logits
        right += float(token_accuracy(logits, batch["tokens"], mask)) * int(mask.sum())
        tokens += int(mask.sum())
        whole += int(((logits.argmax(-1) == batch["tokens"]) | ~mask).all(1).sum())
    return {"token_accuracy": right / tokens, "text_accuracy": whole / len(rows)}
