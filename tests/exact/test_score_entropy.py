"""Score entropy against closed forms: MDLM's loss, the likelihood bound, Euler and analytic steps against the
kernel."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.token_diffusion.masked import LogLinear, weight
from baselines.token_diffusion.score_entropy import (
    Geometric,
    Step,
    absorb_entropy,
    absorb_log_ratio,
    analytic_uniform,
    euler_uniform,
    rate,
    sample_absorb,
    sample_uniform,
    uniform_entropy,
)
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from all_logits import read_of

V, L = 3, 2
MASK = V
WORDS = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [9, 2]
SHORT = Geometric(1e-4, 12.0)


@pytest.fixture(scope="module")
def joint() -> Tensor:
    """A joint distribution over all texts whose positions depend on each other, float64 [9]."""
    logits = torch.randn(len(WORDS), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return (1.5 * logits).softmax(0)


def quadrature(nodes: int) -> tuple[Tensor, Tensor]:
    points, shares = np.polynomial.legendre.leggauss(nodes)
    return torch.tensor((points + 1) / 2), torch.tensor(shares / 2)


def derivative_by_differences(schedule: Geometric | LogLinear, t: Tensor) -> Tensor:
    return (schedule.alpha(t + 1e-6) - schedule.alpha(t - 1e-6)) / 2e-6


def test_schedules_tell_their_own_derivatives() -> None:
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    for schedule in (LogLinear(), Geometric(), SHORT):
        assert torch.allclose(schedule.derivative(t), derivative_by_differences(schedule, t), rtol=1e-4, atol=1e-9)
    assert torch.allclose(rate(Geometric(), t), Geometric().sigma(t) * math.log(20.0 / 1e-4))
    assert torch.allclose(rate(LogLinear(0.0), t), 1 / (1 - t))


def kernel(alpha: float) -> Tensor:
    """p(noisy | clean) of one token under uniform noise, [V, V]."""
    return alpha * torch.eye(V, dtype=torch.float64) + (1 - alpha) / V


def test_absorb_entropy_is_its_definition() -> None:
    generator = torch.Generator().manual_seed(1)
    log_scores = torch.randn(6, V + 1, generator=generator, dtype=torch.float64)
    clean, alpha = torch.tensor([0, 1, 2, 0, 1, 2]), torch.linspace(0.05, 0.95, 6, dtype=torch.float64)
    r = alpha / (1 - alpha)
    entropy = log_scores[:, :V].exp().sum(1) - r * log_scores[torch.arange(6), clean] + r * (r.log() - 1)
    assert torch.allclose(absorb_entropy(log_scores, clean, alpha, MASK), entropy, rtol=1e-12)
    exact = torch.full((6, V + 1), -1e3, dtype=torch.float64)
    exact[torch.arange(6), clean] = r.log()
    assert absorb_entropy(exact, clean, alpha, MASK).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_absorb_entropy_of_normalised_scores_is_the_loss_of_mdlm(dtype: torch.dtype) -> None:
    schedule, t = LogLinear(), torch.linspace(0.001, 0.999, 40, dtype=torch.float64)
    alpha = schedule.alpha(t)
    log_p = torch.randn(40, V, generator=torch.Generator().manual_seed(2), dtype=torch.float64).log_softmax(1)
    log_scores = torch.cat([log_p + absorb_log_ratio(alpha)[:, None], torch.full((40, 1), 7.0)], 1)
    clean = torch.arange(40) % V
    mine = rate(schedule, t) * absorb_entropy(log_scores.to(dtype), clean, alpha.to(dtype), MASK)
    theirs = weight(schedule, t) * -log_p[torch.arange(40), clean]
    assert torch.allclose(mine.double(), theirs, rtol=1e-11 if dtype == torch.float64 else 1e-4)


def test_uniform_entropy_is_its_definition() -> None:
    generator = torch.Generator().manual_seed(1)
    log_scores = torch.randn(V * V, V, generator=generator, dtype=torch.float64)
    for alpha in (0.03, 0.5, 0.97):
        table = kernel(alpha)
        expected = []
        for row, (noisy, clean) in enumerate(itertools.product(range(V), repeat=2)):
            total = 0.0
            for y in set(range(V)) - {noisy}:
                r = float(table[clean, y] / table[clean, noisy])
                s = float(log_scores[row, y].exp())
                total += (s - r * math.log(s) + r * (math.log(r) - 1)) / V
            expected.append(total)
        noisy, clean = torch.tensor(list(itertools.product(range(V), repeat=2))).unbind(1)
        found = uniform_entropy(log_scores, noisy, clean, torch.full((V * V,), alpha, dtype=torch.float64))
        assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-11)


def test_uniform_entropy_is_zero_at_the_true_ratios_and_nowhere_else() -> None:
    alpha = 0.4
    noisy, clean = torch.tensor(list(itertools.product(range(V), repeat=2))).unbind(1)
    ratios = (kernel(alpha)[clean] / kernel(alpha)[clean, noisy][:, None]).log()
    level = torch.full((V * V,), alpha, dtype=torch.float64)
    assert uniform_entropy(ratios, noisy, clean, level).abs().max() < 1e-14
    noise = 0.1 * torch.randn(V * V, V, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert uniform_entropy(ratios + noise, noisy, clean, level).min() > 1e-5


def noisy_joint(joint: Tensor, alpha: float) -> Tensor:
    """p_t over all texts, [9]."""
    table = joint.view(V, V)
    return torch.einsum("ab,ax,by->xy", table, kernel(alpha), kernel(alpha)).flatten()


def uniform_log_scores(joint: Tensor, sequence: Tensor, alpha: float) -> Tensor:
    """Exact log p_t(y) / p_t(x) for texts y that differ from x in one position, [B, L, V]."""
    table = noisy_joint(joint, alpha).view(V, V)
    here = table[sequence[:, 0], sequence[:, 1]]
    scores = torch.stack([table[:, sequence[:, 1]].T, table[sequence[:, 0]]], 1)  # [B, L, V]
    return (scores / here[:, None, None]).log()


def absorb_log_scores(joint: Tensor, sequence: Tensor, alpha: Tensor) -> Tensor:
    """Exact log-scores of the absorbing process: log alpha / (1 - alpha) + log p(token | open tokens), [B, L, V +
    1]."""
    agrees = ((sequence[:, None] == WORDS) | (sequence[:, None] == MASK)).all(-1)  # [B, 9]
    onehot = torch.nn.functional.one_hot(WORDS, V).double()
    posterior = torch.einsum("bn,nlv->blv", agrees * joint, onehot)
    logs = (posterior / posterior.sum(-1, keepdim=True)).log() + absorb_log_ratio(alpha)[:, None, None]
    return torch.cat([logs, torch.zeros_like(logs[..., :1])], -1)


def test_the_absorb_bound_with_exact_scores_is_the_likelihood_of_every_text(joint: Tensor) -> None:
    schedule, (times, shares) = LogLinear(eps=0.0), quadrature(40)
    total = torch.zeros(len(WORDS), dtype=torch.float64)
    for pattern in itertools.product([False, True], repeat=L):
        masked = torch.tensor(pattern).expand(len(WORDS), L)
        noisy = WORDS.masked_fill(masked, MASK)
        for t, share in zip(times, shares, strict=True):
            alpha = schedule.alpha(t)
            scores = absorb_log_scores(joint, noisy, alpha.expand(len(WORDS)))
            entropy = absorb_entropy(scores, WORDS, alpha.expand(WORDS.shape), MASK).masked_fill(~masked, 0.0).sum(1)
            chance = (1 - alpha) ** sum(pattern) * alpha ** (L - sum(pattern))
            total += share * chance * rate(schedule, t) * entropy
    assert (total + joint.log()).abs().max() < 1e-10


def uniform_bound(joint: Tensor, scale: float) -> float:
    """The bound under `SHORT` noise averaged over the data, with the exact scores to the power `scale`."""
    total = 0.0
    places, shares = quadrature(80)
    for t, share in zip(places, shares, strict=True):
        alpha = float(SHORT.alpha(t))
        scores = scale * uniform_log_scores(joint, WORDS, alpha)  # by noisy text, [9, L, V]
        for clean, p in zip(WORDS, joint, strict=True):
            chance = kernel(alpha)[clean[0], WORDS[:, 0]] * kernel(alpha)[clean[1], WORDS[:, 1]]  # [9]
            level = torch.full(WORDS.shape, alpha, dtype=torch.float64)
            entropy = uniform_entropy(scores, WORDS, clean.expand_as(WORDS), level).sum(1)
            total += float(p * share * rate(SHORT, t) * (chance * entropy).sum())
    return total


def test_the_uniform_bound_with_exact_scores_is_the_entropy_of_the_data(joint: Tensor) -> None:
    """Of which the noise below sigma(0) = 1e-4 hides a little; above sigma(1) = 12 nothing is left to know."""
    entropy = float(-(joint * joint.log()).sum())
    assert uniform_bound(joint, 1.0) == pytest.approx(entropy, abs=5e-3)
    assert uniform_bound(joint, 0.8) > entropy + 0.01
    assert uniform_bound(joint, 1.2) > entropy + 0.01


def test_an_analytic_step_of_one_token_is_exact_and_an_euler_step_is_of_first_order() -> None:
    """One position: carrying p_t through the step must give p_s."""
    clean = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    alpha_t, alpha_s = 0.2, 0.7
    before, after = clean @ kernel(alpha_t), clean @ kernel(alpha_s)
    noisy = torch.arange(V)
    step = analytic_uniform(before[None] / before[:, None], noisy, alpha_s / alpha_t)
    assert torch.allclose(step.sum(1), torch.ones(V, dtype=torch.float64), rtol=1e-13)
    assert (before @ step - after).abs().max() < 1e-14
    posterior = torch.einsum("x,xs,st->ts", clean, kernel(alpha_s), kernel(alpha_t / alpha_s)) / before[:, None]
    assert (step - posterior).abs().max() < 1e-14

    def euler_error(count: int) -> float:
        sigma = torch.linspace(-math.log(alpha_t), -math.log(alpha_s), count + 1, dtype=torch.float64)
        p = before
        for high, low in itertools.pairwise(sigma.tolist()):
            marginal = clean @ kernel(math.exp(-high))
            p = p @ euler_uniform(marginal[None] / marginal[:, None], noisy, high - low)
        return float((p - after).abs().sum())

    assert euler_error(32) / euler_error(64) == pytest.approx(2.0, abs=0.1)
    big = euler_uniform(before[None] / before[:, None], noisy, 50.0)
    assert bool((big >= 0).all())


def frequencies(texts: Tensor) -> Tensor:
    return torch.bincount(texts @ torch.tensor([V, 1]), minlength=len(WORDS)).double()


def chi_square(observed: Tensor, expected: Tensor) -> float:
    freedom = len(observed) - 1
    return (float(((observed - expected) ** 2 / expected).sum()) - freedom) / math.sqrt(2 * freedom)


def exact_uniform(joint: Tensor, steps: int, step: Step) -> Tensor:
    """The distribution of texts that steps under uniform noise produce, by enumeration, [9]."""
    p = torch.full((len(WORDS),), 1 / len(WORDS), dtype=torch.float64)
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    for number, (t, s) in enumerate(itertools.pairwise(times), 1):
        alpha_t, alpha_s = float(SHORT.alpha(t)), 1.0 if number == steps else float(SHORT.alpha(s))
        scores = uniform_log_scores(joint, WORDS, alpha_t).exp()
        if step == "euler" and number < steps:
            moved = euler_uniform(scores, WORDS, float(rate(SHORT, t) * (t - s)))
        else:
            moved = analytic_uniform(scores, WORDS, alpha_s / alpha_t)
        moved = moved / moved.sum(-1, keepdim=True)  # [9, L, V]
        p = torch.einsum("n,nx,ny->xy", p, moved[:, 0], moved[:, 1]).flatten()
    return p


@pytest.mark.parametrize("step", ["analytic", "euler"])
def test_uniform_samples_have_the_frequencies_of_their_steps_which_reach_the_joint(joint: Tensor, step: Step) -> None:
    def predict(sequence: Tensor, t: Tensor) -> Tensor:
        assert float(t.min()) == float(t.max())
        return uniform_log_scores(joint, sequence, float(SHORT.alpha(t[0])))

    count = 10_000
    for steps in (1, 5):
        given = {"length": L, "vocabulary": V, "schedule": SHORT, "seeds": CounterRNG(torch.arange(count))}
        observed = frequencies(sample_uniform(read_of(predict), steps=steps, step=step, **given))
        assert abs(chi_square(observed, count * exact_uniform(joint, steps, step))) < 4
    errors = [float((exact_uniform(joint, steps, step) - joint).abs().sum() / 2) for steps in (8, 64, 512, 2048)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.01


STATES = torch.tensor(list(itertools.product(range(V + 1), repeat=L)))  # [16, 2] every sequence


def exact_absorb(joint: Tensor, steps: int, step: Step) -> Tensor:
    """The distribution of texts that steps under absorbing noise produce, by enumeration, [9]."""
    schedule = LogLinear()
    p = (STATES == MASK).all(1).double()
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    own = torch.nn.functional.one_hot(STATES, V + 1).double()  # [16, L, V + 1]
    for number, (t, s) in enumerate(itertools.pairwise(times), 1):
        alpha_t = schedule.alpha(t)
        scores = absorb_log_scores(joint, STATES, alpha_t.expand(len(STATES))).exp()
        scores[..., MASK] = 0.0
        if step == "euler":
            opens = scores.sum(-1, keepdim=True) * rate(schedule, t) * (t - s)
        else:
            opens = scores.sum(-1, keepdim=True) * (schedule.alpha(s) / alpha_t - 1)
        opens = opens.clamp_max(1.0) if number < steps else torch.ones_like(opens)
        moved = torch.where((STATES == MASK)[..., None], opens * scores / scores.sum(-1, keepdim=True), own)
        moved[..., MASK] += 1 - moved.sum(-1)
        p = torch.einsum("n,nx,ny->xy", p, moved[:, 0], moved[:, 1]).flatten()
    return p.view(V + 1, V + 1)[:V, :V].flatten()


@pytest.mark.parametrize("step", ["analytic", "euler"])
def test_absorb_samples_have_the_frequencies_of_their_steps_which_reach_the_joint(joint: Tensor, step: Step) -> None:
    def predict(sequence: Tensor, t: Tensor) -> Tensor:
        return absorb_log_scores(joint, sequence, LogLinear().alpha(t))

    count = 10_000
    for steps in (1, 5):
        given = {"schedule": LogLinear(), "mask_id": MASK, "seeds": CounterRNG(torch.arange(count))}
        texts = sample_absorb(read_of(predict), torch.full((count, L), MASK), steps=steps, step=step, **given)
        assert abs(chi_square(frequencies(texts), count * exact_absorb(joint, steps, step))) < 4
    errors = [float((exact_absorb(joint, steps, step) - joint).abs().sum() / 2) for steps in (1, 4, 16, 256)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.01


def test_one_analytic_absorb_step_opens_like_the_exact_kernel() -> None:
    """One position in two steps: after the first the open share is alpha and tokens have their own frequencies."""
    clean, schedule = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64), LogLinear(eps=1e-3)
    seen: list[Tensor] = []

    def predict(sequence: Tensor, t: Tensor) -> Tensor:
        seen.append(sequence)
        logs = clean.log() + absorb_log_ratio(schedule.alpha(t))[:, None, None]  # [B, 1, V]
        return torch.cat([logs, torch.zeros_like(logs[..., :1])], -1)

    count = 20_000
    start = torch.full((count, 1), MASK)
    texts = sample_absorb(
        read_of(predict),
        start,
        steps=2,
        step="analytic",
        schedule=schedule,
        mask_id=MASK,
        seeds=CounterRNG(torch.arange(count)),
    )
    assert len(seen) == 2
    half = torch.bincount(seen[1][:, 0], minlength=V + 1).double()
    alpha = (0.5 - 5e-4) / (1 - 1e-3)  # open at t = 0.5, given masked at t = 1
    assert abs(chi_square(half, count * torch.cat([alpha * clean, torch.tensor([1 - alpha])]))) < 4
    assert abs(chi_square(torch.bincount(texts[:, 0], minlength=V).double(), count * clean)) < 4
