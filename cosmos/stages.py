"""Stages of training, and the two of Cosmos: the autoencoder on states, the denoiser on latents (cosmos.md 1.6, 2.4).
Rivals that diffuse latents train theirs with the same functions.

Killed and called again with the same arguments, all of it takes up its work and ends with the same bytes: caches go on
where they were, finished training is read back, and every initial weight and every draw follows from the seed
(`cosmos.training.loop` says on which machines).

    run.workdir/states/<hash of the texts>/   frozen states, of a sample where others are computed in the loop
    run.workdir/start.json                    what first weights cost
    run.workdir/latents_price.json            what latents will cost, as it was worked out before the first stage
    run.workdir/latents, validation_latents   second stage: clean latents of the targets
    run.workdir/sample_latents                of some of them, where others are computed in the loop
    run.workdir/<stage>.*                     what `cosmos.training.loop` leaves: resume points, log, weights; also of a
                                              third stage (`cosmos.adaptation`)

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cosmos.config import CorruptionConfig, DiffusionConfig, LatentPlace
from cosmos.data.datasets import JoinedDataset, LatentDataset, TargetDataset, TextDataset, TextStates
from cosmos.data.encoding import EncodedCorpus, EncodedTexts
from cosmos.data.latent_cache import Compresses, cache_latents, price_of_compressing
from cosmos.diffusion.objective import diffusion_loss
from cosmos.io import seals
from cosmos.io.files import make_folder
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
from cosmos.training.distributed import find_processes, first_process_first
from cosmos.training.loop import Prepare, TrainingStage

AUTOENCODER, DIFFUSION = "autoencoder", "diffusion"
MOST_STORED = 16e9  # bytes of latents or states, the most where nobody says; a GPU's machine has ten times as much

SAMPLED = "sample_latents"

DiffusionLoss = Callable[[Any, Tensor, DiffusionConfig, CounterRNG, SourceStates | None], tuple[Tensor, Tensor]]
"""An objective of denoisers, with the arguments of `cosmos.diffusion.objective.diffusion_loss`."""


# -- any stage ---------------------------------------------------------------------------------------------------------


def measured(start: Callable[[], None], run: TrainingRun, name: str = "start") -> Cost:
    """Give networks their first weights, or do what else has a name, and say what that costs: what it did the first
    time, however often resumed."""
    began = time.perf_counter()
    flops = measure_flops(start)
    return at_first(lambda: Cost(time.perf_counter() - began, flops), run, name)


def at_first(cost: Callable[[], Cost], run: TrainingRun, name: str) -> Cost:
    """A cost as it was the first time that it was asked for, however often resumed."""
    path = run.workdir / f"{name}.json"
    with first_process_first(run.device):
        if not path.exists():
            make_folder(run.workdir)
            seals.write_sealed(path, asdict(cost()))
    remedy = "delete it, and run again"
    return read_as(Cost, seals.read_sealed(path, remedy), str(path), remedy)


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
    autoencoder: Autoencoder,
    standardiser: Standardiser,
    corruption: CorruptionConfig,
    corpus: EncodedCorpus,
    accuracy: bool = False,
) -> TrainingStage:
    """The first stage, on targets and passages; validation is under clean input whatever the corruption. With
    `accuracy` the log tells `reconstruction` of validation texts too, each time."""
    loss = autoencoder_objective(standardiser, corruption)
    own, others = corpus.train.targets, corpus.passages
    stage = TrainingStage(
        AUTOENCODER,
        autoencoder,
        loss,
        own if others is None else JoinedDataset(own, others.targets),
        None if corpus.validation is None else corpus.validation.targets,
        lambda model, batch, seeds: loss(model, batch, None),
        corpus.prepare,
        scored=of_tokens,
        frozen=corpus.frozen,
    )
    if accuracy and corpus.validation is not None:
        held_out = corpus.validation.targets
        stage = replace(stage, measure=lambda: reconstruction(autoencoder, standardiser, held_out, corpus.prepare))
    return stage


def autoencoder_objective(
    standardiser: Standardiser, corruption: CorruptionConfig
) -> Callable[[Any, Batch, CounterRNG | None], tuple[Tensor, Tensor]]:
    """`cosmos.models.autoencoder.autoencoder_loss` of batches of raw states; without seeds under clean input."""

    def loss(model: Any, batch: Batch, seeds: CounterRNG | None) -> tuple[Tensor, Tensor]:
        states, mask, positions = batch["states"], batch["mask"], batch.get("positions")
        given = standardiser(states, mask), batch["tokens"], mask, corruption, seeds, batch.progress
        return autoencoder_loss(model, *given, positions, batch.static_shapes)

    return loss


def of_tokens(rows: Rows) -> Tensor:
    """Positions with tokens, bool [B, L], of batches of texts (`cosmos.training.loop.TrainingStage.scored`)."""
    return rows["mask"]


class LatentCorpus(NamedTuple):
    """Clean latents of an encoded corpus, with the states of its sources, and what a budget pays for the latents."""

    train: LatentDataset
    validation: LatentDataset | None
    cost: Cost
    sample: Tensor  # of the latents [n, N, C], for their statistics; all of them where they are stored
    prepare: Prepare | None = None  # what a step makes of its batch
    frozen: tuple[nn.Module, ...] = ()  # networks that it calls


def _pays(corpus: EncodedCorpus, cached: Callable[[TextStates, str, str], tuple[Tensor, Cost]]) -> bool:
    """Whether storing all latents leaves the second stage half of its budget at least, judged by a sample's cost."""
    texts, sample = len(corpus.train.targets), len(corpus.sample)
    if corpus.second is None or corpus.second.unit == "steps" or sample == texts:
        return True
    _, cost = cached(corpus.sample.states, f"{corpus.train.key} {sample}", SAMPLED)
    spent = cost.flops if corpus.second.unit == "flops" else cost.seconds
    # A sample's states are there already, and those of others are not.
    if corpus.prepare is not None:
        of_states = corpus.sample.states.cost
        spent += of_states.flops if corpus.second.unit == "flops" else of_states.seconds
    return spent * texts / sample <= 0.5 * corpus.second.amount


def _may_store(autoencoder: Compresses, corpus: EncodedCorpus) -> bool:
    """Whether all latents fit, and texts are there to have them computed once."""
    sizes = autoencoder.config
    return corpus.once and 4.0 * len(corpus.train.targets) * sizes.latents * sizes.latent_width <= MOST_STORED


def price_of_latents(
    autoencoder: Compresses,
    standardiser: Standardiser,
    corpus: EncodedCorpus,
    run: TrainingRun,
    place: LatentPlace = "auto",
) -> Cost:
    """What `corpus_latents` will cost at least, whatever the weights are, so that it is known before the first stage is
    trained: in FLOPs exactly, in seconds by what a few texts take here. Arguments are those of `corpus_latents`."""

    def price() -> Cost:
        of_all = place == "stored" or (place == "auto" and _may_store(autoencoder, corpus))
        all_there = place == "stored" or len(corpus.sample) == len(corpus.train.targets)
        learnt = corpus.train.targets.states if of_all and all_there else corpus.sample.states
        costs = [price_of_compressing(autoencoder, standardiser, learnt, find_processes(run.device).count)]
        if corpus.validation is not None:
            held_out = corpus.validation.targets.states
            more = price_of_compressing(autoencoder, standardiser, held_out, find_processes(run.device).count)
            costs.append(more.of_validation())
        return Cost.total(costs)

    return at_first(price, run, "latents_price")


def corpus_latents(
    autoencoder: Compresses,
    standardiser: Standardiser,
    corpus: EncodedCorpus,
    run: TrainingRun,
    place: LatentPlace = "auto",
) -> LatentCorpus:
    """What the second stage learns from, computed unless it is there.

    Stored, clean latents are computed once and read again in every epoch. In the loop they are computed for every
    batch, from states that may be stored or are computed then too; a sample is stored for their statistics.
    """

    def cached(states: TextStates, key: str, name: str) -> tuple[Tensor, Cost]:
        here = find_processes(run.device)
        return cache_latents(autoencoder, standardiser, states, key, run.workdir / name, run.encoded, here)

    def rows(texts: EncodedTexts, name: str) -> tuple[LatentDataset, Cost]:
        latents, cost = cached(texts.targets.states, texts.key, name)
        return LatentDataset(latents, texts.sources), cost

    def in_loop(batch: Batch) -> Batch:
        whole = batch if corpus.prepare is None else corpus.prepare(batch)
        if "latents" in whole:
            return whole
        with torch.no_grad():
            latents = autoencoder.compress(standardiser(whole["states"], whole["mask"]), whole["mask"])
        return batch.having({**whole, "latents": latents.float()})

    if place == "auto":
        place = "stored" if _may_store(autoencoder, corpus) and _pays(corpus, cached) else "loop"
    held_out, more = (None, Cost()) if corpus.validation is None else rows(corpus.validation, "validation_latents")
    if place == "stored":
        learnt, cost = rows(corpus.train, "latents")
        assert isinstance(learnt.latents, Tensor)
        sample, prepare, frozen = learnt.latents, corpus.prepare, corpus.frozen
    else:
        sample, cost = cached(corpus.sample.states, f"{corpus.train.key} {len(corpus.sample)}", SAMPLED)
        learnt, prepare = LatentDataset(corpus.train.targets, corpus.train.sources), in_loop
        frozen = (*corpus.frozen, autoencoder.compressor)
    return LatentCorpus(learnt, held_out, Cost.total([cost, more.of_validation()]), sample, prepare, frozen)


def diffusion_stage(
    denoiser: Denoiser,
    standardiser: Standardiser,
    corpus: LatentCorpus,
    diffusion: DiffusionConfig,
    objective: DiffusionLoss = diffusion_loss,
) -> TrainingStage:
    """The second stage, on standardised latents, given states of the sources, if any. The denoiser's normaliser is
    fitted on them."""
    denoiser.normaliser.fit(corpus.sample.split(1 << 12))

    def loss(model: Any, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        clean = model.normaliser.standardise(batch["latents"])
        return objective(model, clean, diffusion, seeds, source_of(standardiser, batch))

    learnt, held_out = corpus.train, corpus.validation
    return TrainingStage(DIFFUSION, denoiser, loss, learnt, held_out, prepare=corpus.prepare, frozen=corpus.frozen)


@torch.no_grad()
def reconstruction(
    autoencoder: Autoencoder, standardiser: Standardiser, rows: TargetDataset, prepare: Prepare | None = None
) -> dict[str, float]:
    """Share of tokens, and of whole texts, that come back right from clean input; `prepare` is the corpus's."""
    here = next(autoencoder.parameters()).device
    right, tokens, whole = 0.0, 0, 0
    for index in torch.arange(len(rows)).split(256):
        batch = Batch(rows.batch(index)).to(here)
        batch = batch if prepare is None else prepare(batch)
        mask = batch["mask"]
        logits = autoencoder(standardiser(batch["states"], mask), mask).logits
        right += float(token_accuracy(logits, batch["tokens"], mask)) * int(mask.sum())
        tokens += int(mask.sum())
        whole += int(((logits.argmax(-1) == batch["tokens"]) | ~mask).all(1).sum())
    return {"token_accuracy": right / tokens, "text_accuracy": whole / len(rows)}
