"""Uniform-state diffusion against closed forms: the bound, the reverse step, and its Gaussian origin."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.token_diffusion.gaussian_duality import (
    AUTHORS_VOCABULARY,
    gamma_at,
    gaussian_tokens,
    same_noise,
    signal_to_alpha,
)
from baselines.token_diffusion.masked import LogLinear, TokenSchedule
from baselines.token_diffusion.uniform import ancestral, posterior, redraw, token_bound
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from all_logits import read_of

V, L = 3, 2
WORDS = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [9, 2]
EXACT = LogLinear(eps=0.0)


class Cosine:
    """alpha(t) = cos(pi t / 2), a schedule of another shape."""

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(math.pi * t / 2)

    def derivative(self, t: Tensor) -> Tensor:
        return -math.pi / 2 * torch.sin(math.pi * t / 2)


@pytest.fixture(scope="module")
def joint() -> Tensor:
    """A joint distribution over all texts whose positions depend on each other, float64 [9]."""
    logits = torch.randn(len(WORDS), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return (1.5 * logits).softmax(0)


def kernel(alpha: Tensor | float) -> Tensor:
    """q(noisy | clean) of one token, [V, V]."""
    return alpha * torch.eye(V, dtype=torch.float64) + (1 - alpha) / V


def posteriors(joint: Tensor, sequence: Tensor, alpha: Tensor, leave_one_out: bool) -> Tensor:
    """p(clean token | noisy tokens), of the others alone or of all of them, [B, L, V]."""
    table, noise = joint.view(V, V), kernel(alpha)
    first = table @ noise[:, sequence[:, 1]]  # [V, B]: p(x_1, z_2)
    second = table.T @ noise[:, sequence[:, 0]]
    found = torch.stack([first.T, second.T], 1)  # [B, L, V]
    if not leave_one_out:
        found = found * noise[:, sequence].permute(1, 2, 0)
    return found / found.sum(-1, keepdim=True)


def bound(joint: Tensor, schedule: TokenSchedule, leave_one_out: bool = True, nodes: int = 60) -> float:
    """The bound averaged over the data: Gauss-Legendre over t, all clean and noisy texts enumerated."""
    points, shares = np.polynomial.legendre.leggauss(nodes)
    total = 0.0
    for t, share in zip(torch.tensor((points + 1) / 2), shares / 2, strict=True):
        alpha = schedule.alpha(t)
        log_probs = posteriors(joint, WORDS, alpha, leave_one_out).log()  # by noisy text
        for clean, p in zip(WORDS, joint, strict=True):
            chance = kernel(alpha)[clean[0], WORDS[:, 0]] * kernel(alpha)[clean[1], WORDS[:, 1]]  # [9]
            each = token_bound(log_probs, clean.expand_as(WORDS), WORDS, alpha.expand(WORDS.shape)).sum(1)
            total += float(-schedule.derivative(t) * share * p * (chance * each).sum())
    return total


def test_the_bound_with_leave_one_out_marginals_is_the_entropy_of_the_data(joint: Tensor) -> None:
    entropy = float(-(joint * joint.log()).sum())
    assert bound(joint, EXACT) == pytest.approx(entropy, abs=1e-3)
    assert bound(joint, EXACT, nodes=200) == pytest.approx(entropy, abs=1e-4)


def test_the_bound_with_full_posteriors_is_far_above(joint: Tensor) -> None:
    assert bound(joint, EXACT, leave_one_out=False) > float(-(joint * joint.log()).sum()) + 0.3


def test_the_bound_does_not_depend_on_the_schedule(joint: Tensor) -> None:
    assert bound(joint, Cosine(), nodes=120) == pytest.approx(bound(joint, EXACT, nodes=120), abs=1e-3)


def test_the_bound_of_a_token_is_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(V * V, V, generator=generator, dtype=torch.float64).log_softmax(1)
    clean, noisy = torch.tensor(list(itertools.product(range(V), repeat=2))).unbind(1)
    for alpha in (0.02, 0.5, 0.99):
        onehot = torch.nn.functional.one_hot(clean, V).double()
        y = V * alpha * onehot + 1 - alpha
        h = V * alpha * log_probs.exp() + 1 - alpha
        y_z, h_z = y.gather(1, noisy[:, None]), h.gather(1, noisy[:, None])
        terms = (y / y_z * ((h_z / h).log() + (y / y_z).log())).sum(1)
        expected = -(V / y_z - V / h_z)[:, 0] / (V * alpha) + terms / (V * alpha)
        level = torch.full((V * V,), alpha, dtype=torch.float64)
        assert torch.allclose(token_bound(log_probs, clean, noisy, level), expected, rtol=1e-10, atol=1e-12)
        single = token_bound(log_probs.float(), clean, noisy, level.float())
        assert torch.allclose(single.double(), expected, rtol=2e-5)


@pytest.mark.parametrize(("size", "alpha"), [(50, 1e-6), (50, 1e-5), (1000, 1e-6), (30_000, 1e-6), (50, 1.0 - 1e-7)])
def test_the_bound_of_a_token_is_not_lost_to_rounding_at_hardly_any_signal(size: int, alpha: float) -> None:
    """Nor at hardly any noise. In single precision it was negative at such levels."""
    generator, rows = torch.Generator().manual_seed(0), 64
    log_probs = (2.0 * torch.randn(rows, size, generator=generator, dtype=torch.float64)).log_softmax(1)
    clean, noisy = torch.randint(size, (2, rows), generator=generator)
    noisy = torch.where(torch.arange(rows) % 2 == 0, clean, noisy)
    level = torch.full((rows,), alpha)
    exact = token_bound(log_probs, clean, noisy, level.double())
    single = token_bound(log_probs.float(), clean, noisy, level)
    assert exact.min() > 0 and single.min() >= 0
    assert torch.allclose(single.double(), exact, rtol=1e-2)


def test_certainty_of_the_clean_token_costs_nothing_and_nothing_is_negative() -> None:
    clean, noisy = torch.tensor(list(itertools.product(range(V), repeat=2))).unbind(1)
    alpha = torch.full((V * V,), 0.3, dtype=torch.float64)
    sure = torch.full((V * V, V), -1e3, dtype=torch.float64).scatter(1, clean[:, None], 0.0)
    assert token_bound(sure, clean, noisy, alpha).abs().max() < 1e-12
    for seed in range(20):
        logits = torch.randn(V * V, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert token_bound((3 * logits).log_softmax(1), clean, noisy, alpha).min() > 0


def test_the_reverse_step_is_bayes_rule() -> None:
    alpha_t, alpha_s = torch.tensor(0.2, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    prior = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    noisy = torch.arange(V)
    joint = torch.einsum("x,xs,st->ts", prior, kernel(alpha_s), kernel(alpha_t / alpha_s))  # [z_t, z_s]
    expected = joint / joint.sum(1, keepdim=True)
    assert (posterior(prior.expand(V, V), noisy, alpha_t, alpha_s) - expected).abs().max() < 1e-14
    clean = prior * kernel(alpha_t)  # [z_t, x], since the kernel is symmetric
    last = posterior(prior.expand(V, V), noisy, alpha_t, torch.ones_like(alpha_t))
    assert (last - clean / clean.sum(1, keepdim=True)).abs().max() < 1e-14


def test_redrawn_tokens_have_the_kernels_frequencies() -> None:
    count = 30_000
    noisy = redraw(torch.full((count, 1), 2), torch.full((count,), 0.4), V, CounterRNG(torch.arange(count)))
    expected = count * kernel(0.4)[2]
    assert float(((torch.bincount(noisy[:, 0]) - expected) ** 2 / expected).sum()) < 23


def exact_steps(joint: Tensor, steps: int) -> Tensor:
    """The distribution of texts that ancestral steps produce, by enumeration, [9]."""
    p = torch.full((len(WORDS),), 1 / len(WORDS), dtype=torch.float64)
    for t, s in itertools.pairwise(torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)):
        predicted = posteriors(joint, WORDS, EXACT.alpha(t), leave_one_out=True)
        step = posterior(predicted, WORDS, EXACT.alpha(t), EXACT.alpha(s))  # [9, L, V]
        p = torch.einsum("n,nx,ny->xy", p, step[:, 0], step[:, 1]).flatten()
    return p


def chi_square(observed: Tensor, expected: Tensor) -> float:
    freedom = len(observed) - 1
    return (float(((observed - expected) ** 2 / expected).sum()) - freedom) / math.sqrt(2 * freedom)


def sample(joint: Tensor, count: int, steps: int, **more: bool | float) -> tuple[Tensor, int]:
    """Frequencies of all texts, [9], and the number of network calls."""
    calls = 0

    def predict(sequence: Tensor, alpha: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return posteriors(joint, sequence, alpha[0], leave_one_out=True).log()

    given = {"length": L, "vocabulary": V, "schedule": EXACT, "seeds": CounterRNG(torch.arange(count))}
    texts = ancestral(read_of(predict), steps=steps, **given, **more)
    return torch.bincount(texts @ torch.tensor([V, 1]), minlength=len(WORDS)).double(), calls


def test_one_step_draws_the_product_of_marginals(joint: Tensor) -> None:
    table = joint.view(V, V)
    product = torch.einsum("a,b->ab", table.sum(1), table.sum(0)).flatten()
    assert (exact_steps(joint, 1) - product).abs().max() < 1e-14
    assert abs(chi_square(sample(joint, 10_000, 1)[0], 10_000 * product)) < 4


def test_samples_have_the_frequencies_of_their_steps_which_reach_the_joint(joint: Tensor) -> None:
    observed, calls = sample(joint, 10_000, 6)
    assert calls == 6
    assert abs(chi_square(observed, 10_000 * exact_steps(joint, 6))) < 4
    errors = [float((exact_steps(joint, steps) - joint).abs().sum() / 2) for steps in (1, 4, 16, 64, 1024)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 2e-3


def test_a_greedy_tail_ends_in_the_most_probable_tokens(joint: Tensor) -> None:
    plain, greedy = (sample(joint, 4000, 2, greedy_tail=tail)[0] / 4000 for tail in (False, True))

    def entropy(p: Tensor) -> float:
        return float(-(p[p > 0] * p[p > 0].log()).sum())

    assert entropy(greedy) < entropy(plain) - 0.1
    table = joint.view(V, V)
    best = int(table.sum(1).argmax()) * V + int(table.sum(0).argmax())
    assert sample(joint, 50, 1, greedy_tail=True)[0].tolist()[best] == 50


def test_a_row_does_not_depend_on_the_others(joint: Tensor) -> None:
    def texts(seeds: Tensor, **more: Any) -> Tensor:
        def predict(sequence: Tensor, alpha: Tensor) -> Tensor:
            return posteriors(joint, sequence, alpha[0], leave_one_out=True).log()

        return ancestral(
            read_of(predict), length=L, vocabulary=V, steps=5, schedule=EXACT, seeds=CounterRNG(seeds), **more
        )

    for more in ({}, {"greedy_tail": True}, {"top_p": 0.7}):
        together = texts(torch.arange(10), **more)
        for row in range(10):
            assert torch.equal(texts(torch.tensor([row]), **more), together[row : row + 1])


@pytest.mark.parametrize("vocabulary", [2, 40, 700])
def test_the_largest_gaussian_entry_agrees_as_often_as_alpha_says(vocabulary: int) -> None:
    """P(argmax = clean token) = alpha + (1 - alpha) / V, and wrong tokens are uniform."""
    count, length = 300, 40
    for alpha in (0.15, 0.5, 0.85):
        gamma = gamma_at(alpha, vocabulary)
        assert float(signal_to_alpha(torch.tensor(gamma), vocabulary)[0]) == pytest.approx(alpha, abs=1e-6)
        clean = torch.arange(length).expand(count, length) % vocabulary
        noise = CounterRNG(torch.arange(count)).normal(clean.shape[1], vocabulary)
        found = gaussian_tokens(clean, torch.full((count,), gamma), noise).argmax(-1)
        agree = alpha + (1 - alpha) / vocabulary
        spread = math.sqrt(agree * (1 - agree) / clean.numel())
        assert float((found == clean).double().mean()) == pytest.approx(agree, abs=4.5 * spread)
        wrong = ((found - clean) % vocabulary)[found != clean].double().mean()  # uniform on 1 ... V - 1
        assert float(wrong) == pytest.approx(vocabulary / 2, rel=0.05)


def test_the_slope_of_alpha_is_its_derivative() -> None:
    gamma = torch.linspace(-4.0, 1.0, 21, dtype=torch.float64)
    for vocabulary in (2, 40, 700, AUTHORS_VOCABULARY):
        alpha, slope = signal_to_alpha(gamma, vocabulary)
        high, low = (signal_to_alpha(gamma + shift, vocabulary)[0] for shift in (1e-5, -1e-5))
        assert torch.allclose(slope, (high - low) / 2e-5, rtol=1e-5, atol=1e-9)
        assert bool((alpha[1:] < alpha[:-1]).all()) and float(alpha[-1]) > 0 and float(alpha[0]) < 1


def test_two_tokens_have_alpha_in_closed_form() -> None:
    """V = 2: the clean entry wins with probability Phi(r / sqrt(2))."""
    gamma = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64)
    wins = torch.special.ndtr(torch.exp(-gamma / 2) / math.sqrt(2))
    assert torch.allclose(signal_to_alpha(gamma, 2)[0], 2 * wins - 1, rtol=1e-10)


def test_gammas_of_the_authors_are_translated_by_their_alpha() -> None:
    for gamma in (-3.5, -1.75):
        mine = same_noise(gamma, 700)
        theirs = signal_to_alpha(torch.tensor(gamma), AUTHORS_VOCABULARY)[0]
        assert float(signal_to_alpha(torch.tensor(mine), 700)[0]) == pytest.approx(float(theirs), abs=1e-6)
        assert mine > gamma  # fewer rivals to beat: the same alpha at more noise
