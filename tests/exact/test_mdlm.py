"""Masked diffusion against closed forms: the bound, its invariance to the schedule, the samplers' distributions."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.token_diffusion.masked import LogLinear, TokenSchedule, token_nll, weight
from baselines.token_diffusion.masked_samplers import ancestral, confidence
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from all_logits import read_of

V, L = 3, 3
MASK = V  # the mask comes after the words
WORDS = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [27, 3] every text


class Cosine:
    """alpha(t) = cos(pi t / 2), a schedule of another shape."""

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(math.pi * t / 2)

    def derivative(self, t: Tensor) -> Tensor:
        return -math.pi / 2 * torch.sin(math.pi * t / 2)


@pytest.fixture(scope="module")
def joint() -> Tensor:
    """A joint distribution over all texts in which no two positions are independent, float64 [27]."""
    logits = torch.randn(len(WORDS), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return (1.5 * logits).softmax(0)


def exact_model(joint: Tensor) -> Callable[[Tensor], Tensor]:
    """The conditionals p(x_i | open positions) of the joint as a network: sequence [B, L] -> logits [B, L, V + 1].

    The mask gets a huge logit and open positions get nonsense, both of which SUBS must overrule.
    """

    def predict(sequence: Tensor) -> Tensor:
        agrees = ((sequence[:, None] == WORDS) | (sequence[:, None] == MASK)).all(-1)  # [B, 27]
        weights = agrees * joint  # [B, 27]
        onehot = torch.nn.functional.one_hot(WORDS, V).double()  # [27, L, V]
        logits = torch.einsum("bn,nlv->blv", weights, onehot).log()
        logits = torch.where((sequence == MASK)[..., None], logits, torch.zeros_like(logits))
        return torch.cat([logits, torch.full_like(logits[..., :1], 50.0)], -1)

    return predict


def bound(schedule: TokenSchedule, joint: Tensor, nodes: int = 60) -> Tensor:
    """The likelihood bound of every text, [27]: Gauss-Legendre over t, all mask sets enumerated."""
    points, shares = np.polynomial.legendre.leggauss(nodes)
    times = torch.tensor((points + 1) / 2)
    predict, total = exact_model(joint), torch.zeros(len(WORDS), dtype=torch.float64)
    for pattern in itertools.product([False, True], repeat=L):
        masked = torch.tensor(pattern).expand(len(WORDS), L)
        noisy = WORDS.masked_fill(masked, MASK)
        nll = token_nll(predict(noisy), noisy, WORDS, MASK).sum(1)  # [27]
        alpha = schedule.alpha(times)
        chance = (1 - alpha) ** sum(pattern) * alpha ** (L - sum(pattern))  # of this mask set at each time
        integral = (torch.tensor(shares / 2) * weight(schedule, times) * chance).sum()
        if any(pattern):
            total += integral * nll
        else:
            assert nll.abs().max() == 0.0
    return total


def test_the_bound_is_the_likelihood_of_every_text(joint: Tensor) -> None:
    assert (bound(LogLinear(eps=0.0), joint) + joint.log()).abs().max() < 1e-12


def test_the_weight_of_a_mask_set_is_a_beta_function() -> None:
    points, shares = np.polynomial.legendre.leggauss(20)
    times = torch.tensor((points + 1) / 2)
    for size in range(1, L + 1):
        integrand = weight(LogLinear(eps=0.0), times) * times**size * (1 - times) ** (L - size)
        expected = math.gamma(size) * math.gamma(L - size + 1) / math.gamma(L + 1)
        assert float((torch.tensor(shares / 2) * integrand).sum()) == pytest.approx(expected, rel=1e-13)


def test_the_bound_does_not_depend_on_the_schedule(joint: Tensor) -> None:
    assert (bound(LogLinear(eps=0.0), joint) - bound(Cosine(), joint)).abs().max() < 1e-10


def test_a_wrong_model_has_a_larger_bound(joint: Tensor) -> None:
    flat = torch.full_like(joint, 1 / len(joint))
    assert float((joint * bound(LogLinear(eps=0.0), flat)).sum()) > float(-(joint * joint.log()).sum()) + 0.1


def test_the_default_schedule_weighs_by_one_over_t() -> None:
    t = torch.linspace(0.01, 1.0, 50, dtype=torch.float64)
    assert torch.allclose(weight(LogLinear(), t), 1 / t, rtol=1e-12)


def draw(joint: Tensor, steps: int, count: int) -> Tensor:
    """Frequencies of all texts among `count` draws of the ancestral sampler, [27]."""
    sequence = torch.full((count, L), MASK)
    texts = ancestral(
        read_of(exact_model(joint)),
        sequence,
        steps=steps,
        schedule=LogLinear(),
        mask_id=MASK,
        seeds=CounterRNG(torch.arange(count)),
    )
    places = texts @ torch.tensor([V * V, V, 1])
    return torch.bincount(places, minlength=len(WORDS)).double()


def chi_square(observed: Tensor, expected: Tensor) -> float:
    """Pearson's statistic over the number of degrees of freedom, as standard deviations from its mean."""
    freedom = len(observed) - 1
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return (statistic - freedom) / math.sqrt(2 * freedom)


def test_one_step_draws_the_product_of_marginals(joint: Tensor) -> None:
    table = joint.view(V, V, V)
    marginals = [table.sum((1, 2)), table.sum((0, 2)), table.sum((0, 1))]
    product = torch.einsum("a,b,c->abc", *marginals).flatten()
    assert abs(chi_square(draw(joint, 1, 10_000), 10_000 * product)) < 4


def test_many_steps_draw_the_joint_and_few_do_not(joint: Tensor) -> None:
    observed = {steps: draw(joint, steps, 10_000) for steps in (1, 4, 120)}
    errors = [float((observed[steps] / 10_000 - joint).abs().sum() / 2) for steps in (1, 4, 120)]
    assert errors[0] > errors[1] > errors[2]
    assert chi_square(observed[1], 10_000 * joint) > 20
    assert abs(chi_square(observed[120], 10_000 * joint)) < 4


def test_confidence_opens_the_surest_positions_first() -> None:
    seen: list[Tensor] = []
    sure = torch.tensor([0.2, 3.0, 1.0, 2.0])  # the logit of word 1 at each position

    def predict(sequence: Tensor) -> Tensor:
        seen.append(sequence)
        return torch.stack([torch.zeros(4), sure, torch.full((4,), 9.0)], -1)[None].expand(len(sequence), 4, 3)

    start = torch.full((2, 4), 2)
    start[1, 1] = 0  # a position that is given
    end = confidence(read_of(predict), start, steps=2, mask_id=2)
    assert seen[1].tolist() == [[2, 1, 2, 1], [2, 0, 2, 1]]
    assert end.tolist() == [[1, 1, 1, 1], [1, 0, 1, 1]]


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_samplers_leave_no_mask_and_call_as_often_as_they_say(joint: Tensor, steps: int) -> None:
    calls = 0

    def predict(sequence: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return exact_model(joint)(sequence)

    start = torch.full((7, L), MASK)
    seeds = CounterRNG(torch.arange(7))
    texts = ancestral(read_of(predict), start, steps=steps, schedule=LogLinear(), mask_id=MASK, seeds=seeds)
    assert calls == steps and bool((texts < MASK).all())
    texts = confidence(read_of(predict), start, steps=steps, mask_id=MASK)
    assert calls == steps + min(steps, L) and bool((texts < MASK).all())
