"""Samplers over vectors on the language of 1,024 tokens whose best denoiser is known, beside the authors' rules.

Vectors are so short, of eight numbers, that the nearest token is another one soon: a sampler that stops where noise is
left, or that returns what is still noisy, writes other tokens.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.embedding_diffusion.diffuseq import SCHEDULE as SQRT
from baselines.embedding_diffusion.diffuseq import DiffuSeqSystem
from baselines.latent_diffusion.cosmos import CosmosSystem
from baselines.latent_diffusion.ld4lg import LD4LGSystem
from baselines.latent_diffusion.tencdm import TEncDMSystem
from cosmos.config import SamplerSetting
from cosmos.diffusion.samplers import START_NOISE, sample
from cosmos.diffusion.schedule import Schedule, make_schedule
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from known_texts import VECTORS, E, L, denoise_vectors, nearest_tokens, slips, unevenness

TEXTS = 30
SYSTEMS: Mapping[str, Any] = {
    "cosmos": CosmosSystem,
    "tencdm": TEncDMSystem,
    "ld4lg": LD4LGSystem,
    "diffuseq": DiffuSeqSystem,
}
Ratio = Callable[[float], float]
"""sigma / alpha at a time."""


def setting_of(system: str, name: str, calls: int) -> SamplerSetting:
    """A setting that the system has, with fewer calls."""
    kind = SYSTEMS[system]
    found: SamplerSetting = {**kind.settings, **kind.other_settings}[name]
    return replace(found, steps=calls - found.final_x0)


def schedule_of(system: str) -> Schedule:
    """That of the preset of the papers' size."""
    if system == "diffuseq":
        return SQRT
    recipe = SYSTEMS[system].presets["base"]
    return make_schedule((recipe.model if system == "cosmos" else recipe).diffusion.schedule)


def draw(system: str, name: str, calls: int, **changes: Any) -> Tensor:
    """Tokens int64 [B, L] as a system's sampler draws them with the best denoiser."""
    setting, schedule = replace(setting_of(system, name, calls), **changes), schedule_of(system)
    seeds, counted = CounterRNG(torch.arange(TEXTS)), []
    rounded = getattr(setting, "rounded", False)

    def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
        counted.append(t)
        time = torch.tensor(t, dtype=torch.float64)
        found = denoise_vectors(x, float(schedule.alpha(time)), float(schedule.sigma(time)))
        return VECTORS[nearest_tokens(found)] if rounded else found

    vectors = sample(denoise, seeds.normal(L, E), setting, schedule, seeds)
    assert len(counted) == setting.steps + setting.final_x0
    return nearest_tokens(vectors)


def widths(ratio: float) -> tuple[float, float]:
    """alpha and sigma, whose squares sum to one."""
    return (0.0, 1.0) if ratio == math.inf else (1.0 / math.hypot(1.0, ratio), ratio / math.hypot(1.0, ratio))


def tangent(d: float) -> Ratio:
    return lambda t: d * math.tan(math.pi * t / 2)


def sqrt(t: float) -> float:
    """alpha^2 = 1 - sqrt(t + s), which ends on pure noise where it is divided by sqrt(1 + s)."""
    kept = 1.0 - math.sqrt((t + 1e-4) / 1.0001)
    return math.sqrt((1.0 - kept) / kept) if kept > 1e-12 else math.inf


def euler_as_its_authors_wrote_it(d: float, calls: int, end: float) -> Tensor:
    """Steps of the reverse SDE in time, from the score (alpha D - x) / sigma^2; of the last, what is without noise."""
    seeds = CounterRNG(torch.arange(TEXTS))
    x = mean = seeds.normal(L, E)
    for t, s in itertools.pairwise(torch.linspace(1.0, end, calls + 1, dtype=torch.float64).tolist()):
        alpha, sigma = widths(tangent(d)(t))
        tan = math.tan(math.pi * min(t, 0.95) / 2)
        beta = math.pi * d**2 * tan * (1.0 + tan**2) / (1.0 + (d * tan) ** 2)
        score = (alpha * denoise_vectors(x, alpha, sigma) - x) / sigma**2
        mean = x + (s - t) * beta * (-x / 2 - score)
        x = mean + math.sqrt(beta * (t - s)) * seeds.normal(L, E)
    return nearest_tokens(mean)


def ancestral_as_its_authors_wrote_it(
    ratio: Ratio, calls: int, end: float, *, larger: bool = False, rounded: bool = False, last_call: bool = False
) -> Tensor:
    """Steps of the posterior of x' given x and x_0 = D, in the prediction of noise; the last without noise, or one
    more call.

    Args:
        larger: with the variance of x given x', which is the larger of the usual ones.
        rounded: every estimate is moved to the nearest words.
    """
    seeds = CounterRNG(torch.arange(TEXTS))
    x = mean = seeds.normal(L, E)

    def estimate(x: Tensor, t: float) -> Tensor:
        found = denoise_vectors(x, *widths(ratio(t)))
        return VECTORS[nearest_tokens(found)] if rounded else found

    for t, s in itertools.pairwise(torch.linspace(1.0, end, calls + 1 - last_call, dtype=torch.float64).tolist()):
        (alpha, sigma), (alpha_s, sigma_s) = widths(ratio(t)), widths(ratio(s))
        kept = (alpha / alpha_s) ** 2
        eps = (x - alpha * estimate(x, t)) / sigma
        # The first step is from pure noise, and x' a draw around the estimate.
        mean = (x - (1.0 - kept) / sigma * eps) / math.sqrt(kept) if kept > 1e-9 else alpha_s * estimate(x, t)
        variance = (1.0 - kept) * (1.0 if larger else (sigma_s / sigma) ** 2)
        x = mean + math.sqrt(variance) * seeds.normal(L, E)
    return nearest_tokens(estimate(x, end) if last_call else mean)


def ddim_as_its_authors_wrote_it(ratio: Ratio, calls: int, end: float) -> Tensor:
    """From the noise that the rounded estimate leaves: x' = alpha' D + sigma' eps; then one more call."""
    x = CounterRNG(torch.arange(TEXTS)).normal(L, E)

    def estimate(x: Tensor, t: float) -> Tensor:
        return VECTORS[nearest_tokens(denoise_vectors(x, *widths(ratio(t))))]

    for t, s in itertools.pairwise(torch.linspace(1.0, end, calls, dtype=torch.float64).tolist()):
        (alpha, sigma), (alpha_s, sigma_s) = widths(ratio(t)), widths(ratio(s))
        found = estimate(x, t)
        x = alpha_s * found + sigma_s * (x - alpha * found) / sigma
    return nearest_tokens(estimate(x, end))


def dpmpp_2m_as_its_authors_wrote_it(calls: int, start: float, end: float) -> Tensor:
    """Lu et al. (2022), algorithm 2, in equal steps of lambda = log(alpha / sigma); then one more call."""
    x = CounterRNG(torch.arange(TEXTS)).normal(L, E)
    lambdas = torch.linspace(-math.log(start), -math.log(end), calls, dtype=torch.float64).tolist()
    before: tuple[Tensor, float] | None = None
    for here, there in itertools.pairwise(lambdas):
        (alpha, sigma), (alpha_s, sigma_s), h = widths(math.exp(-here)), widths(math.exp(-there)), there - here
        found = denoise_vectors(x, alpha, sigma)
        line = found
        if before is not None:
            r = before[1] / h
            line = (1.0 + 1.0 / (2.0 * r)) * found - before[0] / (2.0 * r)
        x = sigma_s / sigma * x - alpha_s * (math.exp(-h) - 1.0) * line
        before = found, h
    return nearest_tokens(denoise_vectors(x, *widths(math.exp(-lambdas[-1]))))


def nearly(texts: Tensor, theirs: Tensor) -> None:
    """A vector between two tokens may round to the other."""
    assert float((texts != theirs).double().mean()) < 0.01


@pytest.mark.parametrize(("calls", "most"), [(4, 1.0), (16, 0.21), (64, 0.12)])
def test_euler_steps_of_tencdm_end_where_its_authors_do(calls: int, most: float) -> None:
    """At t = 0.01. Ended at 0.05, where sigma / alpha is .708, they leave words that no number of steps mends."""
    texts = draw("tencdm", "euler-50", calls)
    nearly(texts, euler_as_its_authors_wrote_it(9.0, calls, 0.01))
    assert float(slips(texts).mean()) < most
    if calls > 4:
        assert float(slips(euler_as_its_authors_wrote_it(9.0, calls, 0.05)).mean()) > 0.5


@pytest.mark.parametrize(("calls", "most"), [(4, 0.65), (16, 0.18), (64, 0.18)])
def test_euler_steps_of_cosmos_are_those_of_its_release(calls: int, most: float) -> None:
    """They end at t = 0.05, and return a mean that is still noisy; one more call mends it."""
    texts = draw("cosmos", "release-200", calls)
    nearly(texts, euler_as_its_authors_wrote_it(5.0, calls, 0.05))
    assert float(slips(texts).mean()) < most
    if calls == 64:
        assert float(slips(draw("cosmos", "release-200", calls, final_x0=True)).mean()) < 0.07


@pytest.mark.parametrize(("calls", "most"), [(4, 0.15), (16, 0.1), (64, 0.08)])
def test_ancestral_steps_of_ld4lg_slip_less_than_its_authors(calls: int, most: float) -> None:
    """With the posterior's variance; theirs is the larger one, which few steps cannot take, and 64 can."""
    texts, end = draw("ld4lg", "ddpm-250", calls), 2.0 / math.pi * math.atan(1e-4)
    nearly(texts, ancestral_as_its_authors_wrote_it(tangent(1.0), calls, end))
    ours, theirs = (
        float(slips(those).mean())
        for those in (texts, ancestral_as_its_authors_wrote_it(tangent(1.0), calls, end, larger=True))
    )
    assert ours < most and unevenness(texts) < 0.35
    assert ours < theirs + 0.01 and (theirs < 0.08) == (calls == 64)


@pytest.mark.parametrize(("calls", "most"), [(4, 0.14), (16, 0.07), (64, 0.06)])
def test_ancestral_steps_of_diffuseq_round_as_its_authors_do(calls: int, most: float) -> None:
    texts = draw("diffuseq", "ancestral-200", calls)
    nearly(texts, ancestral_as_its_authors_wrote_it(sqrt, calls, 0.0, rounded=True, last_call=True))
    assert float(slips(texts).mean()) < most and unevenness(texts) < 0.35


@pytest.mark.parametrize(("calls", "most"), [(4, 0.23), (16, 0.08), (64, 0.06)])
def test_steps_of_diffuseq_without_noise_round_as_its_authors_do(calls: int, most: float) -> None:
    texts = draw("diffuseq", "ddim-50", calls)
    nearly(texts, ddim_as_its_authors_wrote_it(sqrt, calls, 0.0))
    assert float(slips(texts).mean()) < most and unevenness(texts) < 0.35


@pytest.mark.parametrize(("calls", "most"), [(4, 0.28), (16, 0.08), (64, 0.08)])
@pytest.mark.parametrize("system", SYSTEMS)
def test_dpm_solver_slips_as_seldom_as_its_authors(system: str, calls: int, most: float) -> None:
    """The solver that all four have besides their own: one rule, and each system's own end."""
    texts = draw(system, "dpmpp_2m-20", calls)
    end = setting_of(system, "dpmpp_2m-20", calls).end_noise
    nearly(texts, dpmpp_2m_as_its_authors_wrote_it(calls, START_NOISE, end))
    assert float(slips(texts).mean()) < most and unevenness(texts) < 0.35
