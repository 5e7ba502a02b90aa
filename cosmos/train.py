"""The two stages: the autoencoder on text encoder states, then the denoiser on latents (cosmos.md 1.6, 2.4).

Each stage has a budget of its own, out of which encoding its texts is paid first; corpora may differ between stages.
Killed and called again with the same arguments, a stage takes up its work and ends with the same bytes: caches go on
where they were, finished training is read back, and every initial weight and every draw follows from the seed.

    states/<hash of the texts>/           frozen states; a folder that both stages may share, as they share texts
    workdir/latents, validation_latents   second stage: clean latents of the targets
    workdir/<stage>.*                     what `cosmos.training` leaves: resume points, log, weights

Axis legend in `cosmos.blocks`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cosmos.autoencoder import Autoencoder, autoencoder_loss, token_accuracy
from cosmos.batches import Batch, Batches
from cosmos.budget import Budget
from cosmos.config import AutoencoderConfig, CorruptionConfig, DenoiserConfig, DiffusionConfig
from cosmos.denoiser import Denoiser, Source
from cosmos.diffusion import diffusion_loss
from cosmos.encoding import Cost, Encoding, first_process_first
from cosmos.errors import UserError
from cosmos.files import make_folder, read_json, write_json
from cosmos.flops import measure_flops, step_flops
from cosmos.latent_cache import cache_latents
from cosmos.linear_start import TEXTS, linear_start, tokens_per_latent
from cosmos.pipeline import Pipeline
from cosmos.processes import find_processes
from cosmos.randomness import Seeds
from cosmos.rows import JoinedRows, LatentRows, TextRows
from cosmos.standardiser import Standardiser
from cosmos.text_encoder import TextEncoder
from cosmos.training import Loss, TrainingConfig, train
from cosmos.training_config import Progress, Trained, silent
from cosmos.vocabulary import Vocabulary

AUTOENCODER, DIFFUSION = "autoencoder", "diffusion"


@dataclass(frozen=True)
class Stage:
    """What one stage cost, caching included, and what it reached."""

    steps: int
    seconds: float
    flops: float
    validation_loss: float | None
    notes: Mapping[str, Any]


def train_autoencoder(
    texts: Sequence[str],
    validation_texts: Sequence[str],
    encoder: TextEncoder,
    vocabulary: Vocabulary,
    *,
    config: AutoencoderConfig,
    corruption: CorruptionConfig,
    training: TrainingConfig,
    budget: Budget,
    workdir: Path,
    states: Path,
    seed: int,
    device: str,
    passages: Sequence[str] = (),
    start_linear: bool = False,
    progress: Progress = silent,
) -> tuple[Pipeline, Stage]:
    """First stage: compressor and decompressor, on texts.

    Args:
        config: its text width and vocabulary are set to those of the encoder and the vocabulary.
        states: where frozen states are kept; may be shared with the other stage.
        passages: of another corpus, learnt from besides; statistics and a linear start are those of `texts` alone.
        start_linear: start as `cosmos.linear_start` has it, where the sizes leave room for that.
        training: validation is under clean input whatever the corruption.

    Returns:
        A pipeline that can reconstruct (it has no denoiser), and the notes `token_accuracy` and `text_accuracy` on
        validation texts, `cut` (training texts longer than `config.max_tokens`) and shares of the cost.

    Raises:
        UserError: no texts, a budget that encoding them uses up, and whatever `cosmos.training.train` says.
    """
    config = replace(config, text_width=encoder.width, vocabulary=vocabulary.padded_size)
    if not texts:
        raise UserError("There is nothing to train the autoencoder on; give at least one text.")
    encoding = Encoding(states, encoder, AUTOENCODER, device, progress)
    encoded, _ = encoding.states(texts, config.max_tokens)
    own = TextRows(encoded, texts, vocabulary, config.max_tokens)
    rows: TextRows | JoinedRows = own
    cut = encoded.cut
    if passages:
        others, _ = encoding.states(passages, config.max_tokens)
        rows, cut = JoinedRows(own, TextRows(others, passages, vocabulary, config.max_tokens)), cut + others.cut
    validation = None
    if validation_texts:
        held_out, _ = encoding.states(validation_texts, config.max_tokens)
        validation = TextRows(held_out, validation_texts, vocabulary, config.max_tokens)
    standardiser = Standardiser.of(encoded.statistics()).to(find_processes(device).device)
    autoencoder = _initialised(lambda: Autoencoder(config, encoder.mask_embedding.cpu()), seed)
    start_linear = start_linear and tokens_per_latent(config) is not None
    if start_linear:
        encoding.paid.append(_start(autoencoder, standardiser, own, seed, workdir / "start.json", device))

    def loss(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
        clean = standardiser(batch["states"], batch["mask"])
        return autoencoder_loss(model, clean, batch["tokens"], batch["mask"], corruption, seeds)

    def validation_loss(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
        clean = standardiser(batch["states"], batch["mask"])
        return autoencoder_loss(model, clean, batch["tokens"], batch["mask"], corruption, None)

    trained = _train(
        autoencoder, loss, rows, training, encoding.left(budget), workdir, seed, device, AUTOENCODER,
        validation, validation_loss, progress,
    )  # fmt: skip
    notes = {**_notes(trained, autoencoder, encoding), "cut": cut, "start_linear": start_linear}
    if validation is not None:
        notes |= _accuracy(autoencoder, standardiser, validation)
    pipeline = Pipeline(vocabulary, standardiser, autoencoder, encoder)
    return pipeline, _stage(trained, encoding, notes)


def train_diffusion(
    pipeline: Pipeline,
    targets: Sequence[str],
    validation_targets: Sequence[str],
    *,
    sources: Sequence[str] | None = None,
    validation_sources: Sequence[str] | None = None,
    config: DenoiserConfig,
    diffusion: DiffusionConfig,
    training: TrainingConfig,
    budget: Budget,
    workdir: Path,
    states: Path,
    seed: int,
    device: str,
    progress: Progress = silent,
) -> tuple[Pipeline, Stage]:
    """Second stage: the denoiser on standardised latents of the targets, given states of the sources, if any.

    The latent normaliser is fitted on these targets, clean, and stored with the denoiser.

    Args:
        pipeline: of the first stage, with its text encoder.
        config: its latents are those of the autoencoder; its source width is set to the text encoder's, or None.

    Returns:
        The pipeline with its denoiser, and the notes `cut_targets`, `cut_sources` and shares of the cost.

    Raises:
        UserError: no texts, sources and targets of unequal number, a budget that encoding them uses up, and whatever
            `cosmos.training.train` says.
    """
    encoder, autoencoder, standardiser = pipeline.encoder, pipeline.autoencoder, pipeline.standardiser
    assert encoder is not None, "the second stage reads texts, so the pipeline needs its text encoder"
    if sources is not None and len(sources) != len(targets):
        raise UserError(f"{len(sources)} sources do not pair with {len(targets)} targets; give one source per target.")
    here = find_processes(device).device
    autoencoder.to(here).eval().requires_grad_(False)
    standardiser.to(here)
    shape = autoencoder.config
    conditional = sources is not None
    config = replace(
        config,
        latents=shape.latents,
        latent_width=shape.latent_width,
        source_width=shape.text_width if conditional else None,
    )
    encoding = Encoding(states, encoder, DIFFUSION, device, progress)
    cut: dict[str, int] = {}

    def rows(name: str, wanted: Sequence[str], given: Sequence[str] | None) -> LatentRows:
        encoded, key = encoding.states(wanted, shape.max_tokens)
        with first_process_first(device):
            latents = cache_latents(autoencoder, standardiser, encoded, key, workdir / f"{name}latents", encoding.tell)
        encoding.paid.append(latents)
        cut[f"{name}cut_targets"] = encoded.cut
        source = None
        if given is not None:
            source, _ = encoding.states(given, config.max_source_tokens)
            cut[f"{name}cut_sources"] = source.cut
        return LatentRows(latents.latents, source)

    if not targets:
        raise UserError("There is nothing to train the denoiser on; give at least one text.")
    data = rows("", targets, sources)
    validation = rows("validation_", validation_targets, validation_sources) if validation_targets else None
    denoiser = _initialised(lambda: Denoiser(config), seed)
    denoiser.normaliser.fit(data.latents.split(1 << 12))
    denoiser.to(here)

    def loss(model: nn.Module, batch: Batch, seeds: Seeds) -> tuple[Tensor, Tensor]:
        clean = denoiser.normaliser.standardise(batch["latents"])
        if "source" not in batch:
            return diffusion_loss(model, clean, diffusion, seeds)
        mask = batch["source_mask"]
        return diffusion_loss(model, clean, diffusion, seeds, Source(standardiser(batch["source"], mask), mask))

    trained = _train(
        denoiser, loss, data, training, encoding.left(budget), workdir, seed, device, DIFFUSION,
        validation, loss, progress,
    )  # fmt: skip
    notes = {**_notes(trained, denoiser, encoding), **cut}
    finished = replace(pipeline, denoiser=denoiser, diffusion=diffusion)
    return finished, _stage(trained, encoding, notes)


def encoder_name(wanted: str, packaged: str) -> str | None:
    """The name for `TextEncoder`: None, the packaged encoder, where that is what is wanted."""
    return None if wanted == packaged else wanted


def _initialised(build: Callable[[], nn.Module], seed: int) -> Any:
    """A module whose initial weights follow from the seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def _start(
    autoencoder: Autoencoder, standardiser: Standardiser, rows: TextRows, seed: int, costs: Path, device: str
) -> Cost:
    """Start linearly, from the first training texts; the cost is that of the first time, however often resumed."""
    here = next(standardiser.buffers()).device
    batch = {name: value.to(here) for name, value in rows.batch(torch.arange(min(TEXTS, len(rows)))).items()}
    clean = standardiser(batch["states"], batch["mask"])
    autoencoder.to(here)
    began = time.perf_counter()
    flops = measure_flops(lambda: linear_start(autoencoder, clean, batch["mask"], batch["tokens"], seed))
    with first_process_first(device):
        if not costs.exists():
            make_folder(costs.parent)
            write_json(costs, {"seconds": time.perf_counter() - began, "flops": flops})
    return Cost(**read_json(costs))


def _train(
    model: nn.Module,
    loss: Loss,
    rows: Batches,
    training: TrainingConfig,
    budget: Budget,
    workdir: Path,
    seed: int,
    device: str,
    stage: str,
    validation: Batches | None,
    validation_loss: Loss,
    progress: Progress,
) -> Trained:
    """`cosmos.training.train` with the FLOPs of a step counted on the first rows."""
    here = find_processes(device).device
    size = training.batch_size
    first = torch.arange(size) % len(rows)
    # Two lists have texts of unlike lengths, and a step is of both.
    places = torch.arange(size) * len(rows) // size if isinstance(rows, JoinedRows) else first
    batch = {name: value.to(here) for name, value in rows.batch(places).items()}
    model.to(here).train()
    with torch.random.fork_rng(devices=[here] if here.type == "cuda" else []):  # dropout draws
        flops = step_flops(lambda: loss(model, batch, Seeds(torch.arange(size, device=here)))[0], here)
    model.zero_grad(set_to_none=True)
    return train(
        model,
        loss,
        rows,
        config=training,
        budget=budget,
        workdir=workdir,
        seed=seed,
        device=device,
        flops_per_step=flops,
        stage=stage,
        validation=validation,
        validation_loss=validation_loss,
        progress=progress,
    )


@torch.no_grad()
def _accuracy(autoencoder: Autoencoder, standardiser: Standardiser, rows: TextRows) -> dict[str, float]:
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


def _notes(trained: Trained, model: nn.Module, encoding: Encoding) -> dict[str, Any]:
    return {
        "parameters": sum(value.numel() for value in model.parameters() if value.requires_grad),
        "encoding_seconds": encoding.seconds,
        "encoding_flops": encoding.flops,
        "best_share": trained.best_share,
        "validation_losses": [list(pair) for pair in trained.history],
    }


def _stage(trained: Trained, encoding: Encoding, notes: Mapping[str, Any]) -> Stage:
    return Stage(
        steps=trained.steps,
        seconds=trained.seconds + encoding.seconds,
        flops=trained.flops + encoding.flops,
        validation_loss=trained.validation_loss,
        notes=notes,
    )
