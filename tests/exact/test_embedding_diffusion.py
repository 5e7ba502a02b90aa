"""Diffusion over embeddings against closed forms: the sqrt schedule, partial noising, the terms, the samplers."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.common.transformer import TrunkConfig
from baselines.embedding_diffusion.diffuseq import (
    END_NOISE,
    WORD_NOISE,
    DiffuSeqSystem,
    EmbeddingDenoiser,
    RoundedSampling,
    hard_times,
)
from baselines.embedding_diffusion.objective import Sqrt, Terms, partially_noised, rounding_nll
from cosmos.config import GridName, SamplerSetting, SolverName
from cosmos.diffusion.samplers import sample
from cosmos.diffusion.schedule import log_snr_rate
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
from claimed_calls import network_calls

SCHEDULE = Sqrt()
TIMES = torch.linspace(0, 1, 401, dtype=torch.float64)


def test_the_schedule_keeps_variance_and_ends_in_pure_noise() -> None:
    alpha, sigma = SCHEDULE.alpha(TIMES), SCHEDULE.sigma(TIMES)
    assert (alpha.square() + sigma.square() - 1).abs().max() < 1e-12
    assert alpha[-1] == 0.0 and sigma[-1] == 1.0
    assert float(sigma[0]) == pytest.approx(1e-4**0.25, rel=1e-4)
    assert (sigma.diff() > 0).all()
    published = 1 - torch.sqrt(TIMES[:-1] + 1e-4)
    assert (alpha[:-1].square() - published).abs().max() < 1e-4
    narrow = SCHEDULE.alpha(TIMES.float()).double()
    assert ((narrow - alpha) / alpha.clamp_min(1e-9)).abs()[:-1].max() < 1e-5


def test_the_rate_is_the_derivative_and_time_the_inverse() -> None:
    t = TIMES[1:-1]
    step = 1e-7
    numeric = -2 * (torch.log(SCHEDULE.alpha(t + step)) - torch.log(SCHEDULE.alpha(t - step))) / (2 * step)
    assert ((SCHEDULE.beta(t) - numeric) / numeric).abs().max() < 1e-5
    slope = (SCHEDULE.log_snr(t + step) - SCHEDULE.log_snr(t - step)) / (2 * step)
    assert ((log_snr_rate(SCHEDULE, t) - slope) / slope).abs().max() < 1e-5
    assert (SCHEDULE.time(SCHEDULE.log_snr(t)) - t).abs().max() < 1e-10


def test_partial_noising_never_touches_the_source() -> None:
    generator = torch.Generator().manual_seed(1)
    embedded = torch.randn(64, 7, 5, generator=generator, dtype=torch.float64)
    is_target = torch.tensor([True, True, False, False, True, False, False])
    t = torch.rand(64, generator=generator, dtype=torch.float64)
    t[0] = 1.0
    noise = torch.randn(64, 7, 5, generator=generator, dtype=torch.float64)
    noisy = partially_noised(embedded, is_target, t, noise, SCHEDULE)
    assert torch.equal(noisy[:, ~is_target], embedded[:, ~is_target])
    alpha, sigma = SCHEDULE.alpha(t)[:, None, None], SCHEDULE.sigma(t)[:, None, None]
    assert torch.equal(noisy[:, is_target], (alpha * embedded + sigma * noise)[:, is_target])
    assert torch.equal(noisy[0, is_target], noise[0, is_target]), "at t = 1 nothing is left of the target"


def test_the_rounding_head_is_tied_and_normalised() -> None:
    table = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    bias = torch.linspace(-1, 1, 6)
    vectors = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3))
    flat = vectors.flatten(0, 1)
    every = torch.tensor(
        [[float(rounding_nll(v[None], table, bias, torch.tensor([w]))) for v in flat] for w in range(6)]
    )
    together = rounding_nll(vectors, table, bias, torch.full((2, 3), 4))
    assert together == pytest.approx(float(every[4].sum()), rel=1e-5)
    every = every.view(6, 2, 3)
    assert every.shape == (6, 2, 3)
    assert ((-every).exp().sum(0) - 1).abs().max() < 1e-5
    expected = -(vectors[1, 2] @ table.T + bias).log_softmax(-1)
    assert (every[:, 1, 2] - expected).abs().max() < 1e-5


def separation(kept: tuple[str, ...]) -> float:
    """Share of words that the head still tells apart after training toy embeddings on some terms of the loss.

    The estimate is what a network that knows nothing can best say: the mean of all words.
    """
    generator = torch.Generator().manual_seed(4)
    words, width = 8, 6
    table = torch.nn.Parameter(torch.randn(words, width, generator=generator))
    optimizer, bias = torch.optim.Adam([table], lr=0.05), torch.zeros(words)
    tokens = torch.arange(words)[None]  # [1, V]
    for _ in range(400):
        clean = (table + WORD_NOISE * torch.randn(words, width, generator=generator))[None]
        estimate = clean.mean(1, keepdim=True) + 0.3 * (clean - clean.mean(1, keepdim=True))
        terms = Terms(
            error=(estimate - clean).square().mean(-1).sum(),
            rounding=rounding_nll(clean, table, bias, tokens),
            anchor=rounding_nll(estimate, table, bias, tokens),
        )
        optimizer.zero_grad()
        loss = terms.total() if kept == Terms._fields else sum(getattr(terms, name) for name in kept)
        loss.backward()
        optimizer.step()
    noisy = table + WORD_NOISE * torch.randn(1000, words, width, generator=generator)
    return float(((noisy @ table.T).argmax(-1) == tokens).double().mean())


def test_the_rounding_terms_stop_the_collapse() -> None:
    assert separation(("error",)) < 0.5, "without them all words move to one point"
    assert separation(("error", "rounding")) > 0.95
    assert separation(("error", "anchor")) > 0.95
    assert separation(Terms._fields) > 0.95


def exact_denoiser(words: Tensor, chances: Tensor, calls: list[float]):  # type: ignore[no-untyped-def]
    """E[x_0 | x_t] for data on the points `words` [V, E], widened by WORD_NOISE^2."""

    def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
        calls.append(t)
        time = torch.tensor(t, dtype=torch.float64)
        alpha, sigma = SCHEDULE.alpha(time), SCHEDULE.sigma(time)
        variance = (alpha * WORD_NOISE).square() + sigma.square()
        distance = (x[..., None, :] - alpha * words).square().sum(-1)  # [B, N, V]
        share = (chances.log() - distance / (2 * variance)).softmax(-1)
        gain = alpha * WORD_NOISE**2 / variance
        mean = share @ words
        return mean + gain * (x - alpha * mean)

    return denoise


@pytest.mark.parametrize(
    ("solver", "steps", "grid"), [("ddpm", 200, "time"), ("ddim", 200, "time"), ("dpmpp_2m", 20, "log_snr")]
)
def test_samplers_reach_the_words_in_their_shares(solver: str, steps: int, grid: str) -> None:
    words = torch.tensor([[1.0, 0.0], [-1.0, 0.3], [0.0, -1.0]], dtype=torch.float64)
    chances = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    calls: list[float] = []
    setting = SamplerSetting(solver, steps, grid, END_NOISE, final_x0=True)  # type: ignore[arg-type]
    count = 20_000
    seeds = CounterRNG(torch.arange(count))
    start = seeds.normal(1, 2, dtype=torch.float64)
    x = sample(exact_denoiser(words, chances, calls), start, setting, SCHEDULE, seeds)  # type: ignore[arg-type]
    assert len(calls) == steps + 1 == network_calls(setting, SCHEDULE)  # type: ignore[arg-type]
    nearest = (x - words).square().sum(-1).argmin(-1)
    shares = torch.bincount(nearest, minlength=3).double() / count
    # Four deviations, and what a finite number of steps moves.
    assert (shares - chances).abs().max() < 4 * math.sqrt(0.25 / count) + 0.012


@pytest.mark.parametrize(
    ("solver", "grid", "steps", "most"),
    [
        *[("ddpm", "time", 4, 0.3), ("ddpm", "time", 16, 0.22)],
        *[("ddim", "time", 4, 0.3), ("ddim", "time", 16, 0.22)],
        *[("dpmpp_2m", "log_snr", 4, 0.3), ("dpmpp_2m", "log_snr", 16, 0.15)],
    ],
)
def test_few_steps_end_on_words_of_a_large_vocabulary(
    solver: SolverName, grid: GridName, steps: int, most: float
) -> None:
    """256 words, as likely as 1 / rank: how far their frequencies, in 8 classes of like rank, are from the truth."""
    words = torch.randn(256, 32, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    chances = 1.0 / (torch.arange(256, dtype=torch.float64) + 1)
    chances /= chances.sum()
    seeds = CounterRNG(torch.arange(300))
    setting = SamplerSetting(solver, steps, grid, END_NOISE, final_x0=True)
    start = seeds.normal(1, 32, dtype=torch.float64)
    x = sample(exact_denoiser(words, chances, []), start, setting, SCHEDULE, seeds)[:, 0]  # [B, E]
    distance, nearest = torch.cdist(x, words).min(-1)
    assert float((distance > 3 * WORD_NOISE * math.sqrt(32)).double().mean()) < 0.08  # those between two words
    ranks = (torch.arange(256) + 1).log2().long()  # [V], eight classes, and the last word
    reached = torch.bincount(ranks[nearest], minlength=9).double() / len(x)
    truth = torch.zeros(9, dtype=torch.float64).index_add(0, ranks, chances)
    assert float((reached - truth).abs().sum() / 2) < most


def test_the_nearest_word_is_that_of_the_least_distance_among_those_that_are_words() -> None:
    torch.manual_seed(6)
    model = EmbeddingDenoiser(TrunkConfig(8, 1, 2, 8, time_width=4), embedding=3, vocabulary=40, length=4, source=1)
    vectors = torch.randn(5, 4, 3)
    nearest = torch.cdist(vectors, model.tokens.weight[:25]).argmin(-1)
    assert torch.equal(model.nearest(vectors, 25), model.tokens.weight[nearest])
    assert not torch.equal(model.nearest(vectors, 40), model.nearest(vectors, 25))


def test_rounding_every_estimate_as_the_authors_do_ends_on_words() -> None:
    """Ancestral steps beside the authors' rule written out: the posterior's mean and noise at the nearest word."""
    words = torch.randn(256, 32, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    exact = exact_denoiser(words, torch.full((256,), 1 / 256, dtype=torch.float64), [])

    def rounded(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
        return words[torch.cdist(exact(x, t, estimate), words).argmin(-1)]

    setting = RoundedSampling("ddpm", steps=16, end_noise=END_NOISE, final_x0=True)
    seeds = CounterRNG(torch.arange(100))
    ours = sample(rounded, seeds.normal(1, 32, dtype=torch.float64), setting, SCHEDULE, seeds)
    seeds = CounterRNG(torch.arange(100))
    x, times = seeds.normal(1, 32, dtype=torch.float64), torch.linspace(1.0, 0.0, 17, dtype=torch.float64)
    for t, s in itertools.pairwise(times):
        bar, bar_s = SCHEDULE.alpha(t) ** 2, SCHEDULE.alpha(s) ** 2
        beta = 1 - bar / bar_s
        mean = bar_s.sqrt() * beta / (1 - bar) * rounded(x, float(t), None)
        mean = mean + (1 - beta).sqrt() * (1 - bar_s) / (1 - bar) * x
        x = mean + ((1 - bar_s) / (1 - bar) * beta).sqrt() * seeds.normal(1, 32, dtype=torch.float64)
    theirs = rounded(x, 0.0, None)
    assert (ours - theirs).abs().max() < 1e-9
    assert len(ours[:, 0].unique(dim=0)) > 60  # and not a few words for all seeds


def test_what_is_drawn_ends_where_words_are() -> None:
    assert float(SCHEDULE.time(torch.tensor(-2 * math.log(END_NOISE), dtype=torch.float64))) == pytest.approx(
        0, abs=1e-9
    )
    every = {**DiffuSeqSystem.settings, **DiffuSeqSystem.other_settings}
    assert {name: network_calls(s, SCHEDULE) * s.candidates for name, s in every.items()} == {
        "dpmpp_2m-20": 21, "ancestral-200": 201, "ddim-50": 51, "mbr10-dpmpp_2m-20": 210,
    }  # fmt: skip


def test_half_of_all_training_times_are_in_the_last_eighth() -> None:
    uniform = torch.linspace(0.0, 1.0, 1001, dtype=torch.float64)
    times = hard_times(uniform)
    assert (float(times[0]), float(times[-1])) == (0.0, 1.0)
    assert bool((times.diff() >= 0).all())
    assert float((times > 7 / 8).double().mean()) == pytest.approx(0.5, abs=1e-3)
