"""Decoder adaptation, a short third stage: the decoder learns to read what the denoiser makes.

The first stage teaches it clean latents (corrupted at random), and generation hands it the denoiser's estimates, which
err in ways of their own. So latents of training texts are noised to a time of each text's own, brought back by a few
calls of the trained denoiser, as a sampler would, and the decoder learns to read the texts they came from out of that.
Nothing but the decoder is moved: no gradient reaches the denoiser or the compressor. Whatever diffuses latents or
states can be adapted so; each system has its own decoder and its own loss on what `denoised` gives.

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from cosmos.config import RELEASE_END_NOISE, AdaptationConfig, DiffusionConfig, ScheduleConfig
from cosmos.data.datasets import LatentDataset, LoopTextDataset, TargetDataset
from cosmos.diffusion.objective import FIRST_TIME, diffuse
from cosmos.diffusion.schedule import Schedule, make_schedule
from cosmos.models.autoencoder import Decompressor
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.models.standardiser import Standardiser
from cosmos.models.token_head import choose, summed_nll, take
from cosmos.runtime.rng import CounterRNG
from cosmos.stages import of_tokens, source_of
from cosmos.text.vocabulary import PAD
from cosmos.training.batches import Batch, Dataset, Rows
from cosmos.training.buckets import RaggedDataset
from cosmos.training.loop import Prepare, TrainingStage

ADAPTATION = "adaptation"
ADAPTED = "adapted.safetensors"  # the adapted decoder, beside the weights it began from

Read = Callable[[nn.Module, Tensor, SourceStates | None, Batch, bool], tuple[Tensor, Tensor]]
"""`read(decoder, standardised latents [B, N, C], source, batch, compiled)` -> summed loss on `batch["tokens"]` int64
[B, L] where `batch["mask"]` bool [B, L] says so, and the number of tokens; `compiled` as in
`cosmos.models.token_head.chunked_loss`."""


@torch.no_grad()
def denoised(
    denoiser: Denoiser,
    clean: Tensor,
    diffusion: DiffusionConfig,
    config: AdaptationConfig,
    seeds: CounterRNG,
    source: SourceStates | None = None,
) -> Tensor:
    """What the denoiser makes of noised latents, [B, N, C].

    Each text is noised to its own t, uniform up to where sigma/alpha is `config.noise`. The first call gets no earlier
    estimate; between calls a DDIM step (2010.02502) is made, in equal steps of log-SNR down to `RELEASE_END_NOISE`,
    where the samplers end; a text that has less noise from the start stays where it is. The last estimate is returned.

    Args:
        clean: standardised latents [B, N, C].
        seeds: one stream for each text.
    """
    schedule = make_schedule(diffusion.schedule)
    t = FIRST_TIME + (_latest(diffusion.schedule, config.noise) - FIRST_TIME) * seeds.uniform()
    x = diffuse(clean, t, seeds.normal(*clean.shape[1:], dtype=clean.dtype), schedule)
    condition = None if source is None else denoiser.encode_condition(source)
    begin, end = schedule.log_snr(t), schedule.log_snr(t).clamp_min(_log_snr(RELEASE_END_NOISE))
    estimate = torch.zeros_like(clean)
    for call in range(config.calls):
        earlier = estimate if diffusion.self_conditioned else torch.zeros_like(estimate)
        estimate = denoiser(x, t.to(x.dtype), earlier, condition).to(x.dtype)
        if call + 1 < config.calls:
            after = schedule.time(begin + (end - begin) * ((call + 1) / (config.calls - 1)))
            x, t = _step(x, estimate, t, after, schedule), after
    return estimate


@cache
def _latest(schedule: ScheduleConfig, noise: float) -> float:
    """The t at which sigma/alpha is `noise`, worked out once, so that no step waits for it."""
    return float(make_schedule(schedule).time(torch.tensor(_log_snr(noise), dtype=torch.float64)))


def _log_snr(noise: float) -> float:
    """Where sigma/alpha is `noise`."""
    return -2.0 * math.log(noise)


def _step(x: Tensor, estimate: Tensor, t: Tensor, after: Tensor, schedule: Schedule) -> Tensor:
    """x' = alpha' D + sigma' (x - alpha D) / sigma, from t [B] to `after` [B]."""
    now, then = t[:, None, None], after[:, None, None]
    ratio = schedule.sigma(then) / schedule.sigma(now)
    gain = schedule.alpha(then) - ratio * schedule.alpha(now)
    return ratio.to(x.dtype) * x + gain.to(x.dtype) * estimate


def adaptation_stage(
    decoder: nn.Module,
    read: Read,
    inputs: Callable[[Batch], tuple[Tensor, SourceStates | None]],
    denoiser: Denoiser,
    diffusion: DiffusionConfig,
    config: AdaptationConfig,
    data: Dataset,
    validation: Dataset | None,
    prepare: Prepare | None = None,
    frozen: tuple[nn.Module, ...] = (),
) -> TrainingStage:
    """The third stage, of a copy of the decoder that the first stage trained; validation is on denoised latents too.
    Its noise is not that of the second stage, on which the denoiser was fitted.

    Args:
        inputs: clean standardised latents [B, N, C] of a batch and its sources, if any.
        denoiser: trained, its averaged weights in place; it is not moved.
        prepare: what a step makes of its batch, as in the second stage. frozen: networks that it calls.
    """
    denoiser.eval()

    def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        clean, source = inputs(batch)
        return read(model, denoised(denoiser, clean, diffusion, config, seeds, source), source, batch, seeds.fused)

    adapted = copy.deepcopy(decoder).requires_grad_(True)
    return TrainingStage(
        ADAPTATION,
        adapted,
        loss,
        data,
        validation,
        prepare=prepare,
        scored=of_tokens,
        frozen=(*frozen, denoiser),
        stream=ADAPTATION,
    )


class ReadDataset:
    """Rows of latents with the tokens they are to be read as: int64 [B, L], and mask bool [B, L]. Where latents are
    computed in the loop, rows have these already."""

    def __init__(self, latents: Dataset, texts: TargetDataset) -> None:
        assert len(latents) == len(texts)
        self.latents, self.texts = latents, texts

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, int64 [number of texts]."""
        return self.texts.lengths

    @property
    def longest(self) -> int:
        return self.texts.longest

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        """The rows at `index`, with texts padded to `length` tokens, or to the longest of them; where a length is
        given, sources are padded as far as any needs."""
        rows = self._latents(index, length)
        if "tokens" in rows:
            return rows
        if isinstance(self.texts, LoopTextDataset):  # whose tokens come with what states are computed from
            of_texts = self.texts.batch(index, length)
            return {**rows, **{name: of_texts[name] for name in ("tokens", "mask")}}
        lengths = self.texts.states.lengths[index]
        length = length or int(lengths.max())
        mask = torch.arange(length) < lengths[:, None]
        tokens = self.texts.tokens[index, :length]
        return {**rows, "tokens": functional.pad(tokens, (0, length - tokens.shape[1]), value=PAD), "mask": mask}

    def _latents(self, index: Tensor, length: int | None) -> Rows:
        if length is None or not isinstance(self.latents, RaggedDataset):
            return self.latents.batch(index)
        stored = isinstance(self.latents, LatentDataset) and isinstance(self.latents.latents, Tensor)
        return self.latents.batch(index, self.latents.longest if stored else length)


def read_datasets(
    second: TrainingStage, train: TargetDataset, held_out: TargetDataset | None
) -> tuple[ReadDataset, ReadDataset | None]:
    """What the third stage learns from and is validated on: the latents of the second stage, with their texts."""
    rows = second.validation
    validation = None if rows is None or held_out is None else ReadDataset(rows, held_out)
    return ReadDataset(second.data, train), validation


def latent_inputs(
    denoiser: Denoiser, standardiser: Standardiser
) -> Callable[[Batch], tuple[Tensor, SourceStates | None]]:
    """`inputs` of `adaptation_stage` for rows of raw latents, as those of the second stage are."""
    return lambda batch: (denoiser.normaliser.standardise(batch["latents"]), source_of(standardiser, batch))


def decompressor_reads(denoiser: Denoiser) -> Read:
    """Cross-entropy of the tokens that a decompressor reads out of standardised latents, all positions at once. Where
    shapes are fixed, it decompresses the positions of the batch alone, as the first stage does."""

    def read(
        decompressor: nn.Module, latents: Tensor, source: SourceStates | None, batch: Batch, compiled: bool
    ) -> tuple[Tensor, Tensor]:
        assert isinstance(decompressor, Decompressor)
        tokens, mask = batch["tokens"], batch["mask"]
        length = tokens.shape[1]
        hidden = decompressor.hidden(denoiser.normaliser.restore(latents), length if batch.static_shapes else None)
        index, counts = choose(mask, batch.get("positions"))
        read_out = take(hidden[:, :length].flatten(0, 1), index, counts)  # [M, T]
        wanted, weights = tokens.flatten()[index], counts.to(torch.float32)
        return summed_nll(read_out, decompressor.head.weight, wanted, weights, compiled=compiled), mask.sum()

    return read
