"""The training objective of the denoiser (cosmos.md 2.2): predict clean latents, plain mean squared error."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cosmos.config import DiffusionConfig
from cosmos.diffusion.schedule import Schedule, make_schedule
from cosmos.models.denoiser import Condition, Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG

FIRST_TIME = 1e-5  # t is drawn from [FIRST_TIME, 1]


def sample_times(seeds: CounterRNG, stratified: bool) -> Tensor:
    """float64 t [B] in [FIRST_TIME, 1]: uniform, or one in each of B equal strata, which lowers the loss's variance.

    Strata are those of a process's rows: with several processes each covers [0, 1] with its own share of the batch.
    """
    uniform = seeds.uniform()
    if stratified:
        uniform = (seeds.places + uniform) / seeds.batch_rows
    return FIRST_TIME + (1.0 - FIRST_TIME) * uniform


def diffuse(latents: Tensor, t: Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """z_t = alpha(t) z_0 + sigma(t) eps; latents and noise [B, N, C], t [B]."""
    wide = t.double()[:, None, None]
    return schedule.alpha(wide).to(latents.dtype) * latents + schedule.sigma(wide).to(latents.dtype) * noise


def self_conditioned_rows(rows: int, share: float, device: torch.device, start: int = 0) -> Tensor:
    """The rows of a batch that are given an earlier estimate, int64 [about share * rows]: row i where
    floor((i + 1) * share) > floor(i * share). Of a part of a batch, those of its rows that begin at `start`, from 0.

    They lie evenly between the others, so with one t from each stratum, in the order of the rows, both kinds cover
    [0, 1]. How many there are follows from the size of the batch alone, as a recorded step needs it.
    """
    stop = start + rows
    due = torch.floor(torch.arange(start + 1, stop + 1, device=device, dtype=torch.float64) * share)  # up to each row
    numbers = torch.arange(math.floor(start * share) + 1, math.floor(stop * share) + 1, device=device, dtype=due.dtype)
    return torch.searchsorted(due, numbers)


class NoisedExample(NamedTuple):
    """One training example per text, ready for the network to be called with it."""

    noisy: Tensor  # z_t [B, N, C]
    t: Tensor  # [B], in the latents' dtype
    noise: Tensor  # eps [B, N, C]
    estimate: Tensor  # of an earlier call without gradient for self-conditioned texts, else zeros [B, N, C]
    condition: Condition | None


def noised_example(
    model: Denoiser, latents: Tensor, config: DiffusionConfig, seeds: CounterRNG, source: SourceStates | None = None
) -> NoisedExample:
    """Noise clean latents [B, N, C] and prepare self-conditioning; arguments as in `diffusion_loss`.

    Per text ("sample"), the earlier estimate is computed for a fixed share of the rows, by place
    (`self_conditioned_rows`): data come in a new order every epoch, so which text is given one is random all the same.
    Where processes share a batch, each takes that share of its own rows; with an even number of them and a share of one
    half these are the rows that one process would take.

    As the release has it ("batch"), one coin of each process decides for all of its rows. The estimate is computed in
    every step, whatever the coin says, so all steps do the same work: they can be recorded and have one price.
    """
    schedule = make_schedule(config.schedule)
    t = sample_times(seeds, config.times == "stratified")
    noise = seeds.normal(*latents.shape[1:], dtype=latents.dtype)
    # Both are drawn even where unused, so that streams do not depend on the configuration.
    coin = seeds.of_batch() < config.self_condition_share
    hidden = seeds.uniform() < config.source_dropout
    condition = None if source is None else model.encode_condition(source._replace(hidden=hidden))
    noisy, t = diffuse(latents, t, noise, schedule), t.to(latents.dtype)
    estimate = torch.zeros_like(latents)
    if config.self_conditioned:
        rows = self_conditioned_rows(len(latents), config.self_condition_share, latents.device, seeds.start)
        with torch.no_grad():
            if config.self_conditioning == "batch":
                estimate = model(noisy, t, estimate, condition) * coin
            elif len(rows):
                part = None if condition is None else condition.rows(rows)
                earlier = model(noisy[rows], t[rows], estimate[rows], part)
                estimate = estimate.to(earlier.dtype).index_copy(0, rows, earlier)
        # Older torch keeps the weights autocast has cast above, and would use them below without their gradients.
        torch.clear_autocast_cache()
    return NoisedExample(noisy, t, noise, estimate, condition)


def diffusion_loss(
    model: Denoiser, latents: Tensor, config: DiffusionConfig, seeds: CounterRNG, source: SourceStates | None = None
) -> tuple[Tensor, Tensor]:
    """Mean squared error of the estimate of each text, summed over texts, and the number of texts.

    Args:
        latents: clean and standardised [B, N, C].
        seeds: one stream per text; time, noise, coin and source dropout (`hidden` of the source) come from it.
    """
    error = squared_error(estimated(model, noised_example(model, latents, config, seeds, source)), latents)
    return error.sum(), error.new_full((), len(latents))


def estimated(model: Denoiser, example: NoisedExample) -> Tensor:
    """The clean latents' estimate [B, N, C] of an example."""
    return model(example.noisy, example.t, example.estimate, example.condition)


def squared_error(estimate: Tensor, latents: Tensor) -> Tensor:
    """Mean squared error of each text, in float32: [B]."""
    return (estimate.float() - latents.float()).square().mean((1, 2))
