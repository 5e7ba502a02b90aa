"""The training objective of the denoiser (cosmos.md 2.2): predict clean latents, plain mean squared error."""

from __future__ import annotations

import math
from collections.abc import Callable
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

    Strata are those of the whole batch, whoever works on its rows.
    """
    uniform = seeds.uniform()
    if stratified:
        uniform = (seeds.places + uniform) / seeds.batch_rows
    return FIRST_TIME + (1.0 - FIRST_TIME) * uniform


def diffuse(latents: Tensor, t: Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """z_t = alpha(t) z_0 + sigma(t) eps; latents and noise [B, N, C], t [B]."""
    wide = t.double()[:, None, None]
    return schedule.alpha(wide).to(latents.dtype) * latents + schedule.sigma(wide).to(latents.dtype) * noise


def self_conditioned_rows(seeds: CounterRNG, share: float) -> Tensor:
    """The rows of a batch that are given an earlier estimate, int64 [about share * rows]: row i where
    floor((i + 1) * share) > floor(i * share). Of a part of a batch, those of its rows, from 0.

    They lie evenly between the others, so with one t from each stratum, in the order of the rows, both kinds cover
    [0, 1]. How many there are follows from the places of the rows alone, as a recorded step needs it.
    """
    count = sum(math.floor((place + 1) * share) > math.floor(place * share) for place in seeds.numbers)
    places = seeds.places.double()
    due = torch.floor((places + 1.0) * share) > torch.floor(places * share)
    return due.logical_not().to(torch.uint8).argsort(stable=True)[:count]


class NoisedExample(NamedTuple):
    """One training example per text, ready for the network to be called with it."""

    noisy: Tensor  # z_t [B, N, C]
    t: Tensor  # [B], in the latents' dtype
    noise: Tensor  # eps [B, N, C]
    estimate: Tensor  # of an earlier call without gradient for self-conditioned texts, else zeros [B, N, C]
    condition: Condition | None


def noised_example(
    model: Denoiser,
    latents: Tensor,
    config: DiffusionConfig,
    seeds: CounterRNG,
    source: SourceStates | None = None,
    times: Callable[[Tensor], Tensor] | None = None,
) -> NoisedExample:
    """Noise clean latents [B, N, C] and prepare self-conditioning; arguments as in `diffusion_loss`. `times` turns the
    times that are drawn, [B], into those of another density.

    Per text ("sample"), the earlier estimate is computed for a fixed share of the rows, by place
    (`self_conditioned_rows`): data come in a new order every epoch, so which text is given one is random all the same.

    As the release has it ("batch"), one coin of the batch decides for all of its rows. The estimate is computed in
    every step, whatever the coin says, so all steps do the same work: they can be recorded and have one price.

    Where processes share a batch, rows and coin are those that one process would take.
    """
    schedule = make_schedule(config.schedule)
    t = sample_times(seeds, config.times == "stratified")
    if times is not None:
        t = times(t).clamp_min(FIRST_TIME)
    noise = seeds.normal(*latents.shape[1:], dtype=latents.dtype)
    # Both are drawn even where unused, so that streams do not depend on the configuration.
    coin = seeds.of_batch() < config.self_condition_share
    hidden = seeds.uniform() < config.source_dropout
    condition = None if source is None else model.encode_condition(source._replace(hidden=hidden))
    noisy, t = diffuse(latents, t, noise, schedule), t.to(latents.dtype)
    estimate = torch.zeros_like(latents)
    if config.self_conditioned:
        rows = self_conditioned_rows(seeds, config.self_condition_share)
        with torch.no_grad():
            if config.self_conditioning == "batch":
                estimate = model(noisy, t, estimate, condition) * coin
            elif len(rows) or (model.dealt_out and config.self_condition_share > 0):
                called = (
                    rows if len(rows) else rows.new_zeros(1)
                )  # for other processes, which have such rows; dropped here
                part = None if condition is None else condition.rows(called)
                earlier = model(noisy[called], t[called], estimate[called], part)
                estimate = estimate.to(earlier.dtype).index_copy(0, rows, earlier[: len(rows)])
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
