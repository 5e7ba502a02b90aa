"""Likelihood bounds by Monte Carlo against the truth, on languages whose every text can be listed: tight where the
network is exact, above where it is not, and never below the entropy but for chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.token_diffusion.duo import redrawn_integrand
from baselines.token_diffusion.likelihood import Levels, changed_positions, estimated_bound, uniform_levels
from baselines.token_diffusion.mdlm import masked_integrand
from baselines.token_diffusion.sedd import UNIFORM, absorb_integrand, geometric_levels, uniform_integrand
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import MASK

V, L = 3, 2  # words, and the tokens of a text
SIZE = MASK + 1  # of what networks that see masks predict
WORDS = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [9, 2] every text
REPEATS = 1000
NO_SOURCE = torch.empty(0, 1, dtype=torch.int64)


@pytest.fixture(scope="module")
def joint() -> Tensor:
    """A joint distribution over all texts whose positions depend on each other, float64 [9]."""
    logits = torch.randn(len(WORDS), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return (1.5 * logits).softmax(0)


class Toy:
    """A network by a function of noisy tokens [B, L] and time [B]: logits [B, L, tokens]."""

    def __init__(self, predict: Callable[[Tensor, Tensor], Tensor], tokens: int) -> None:
        self.predict, self.tokens = predict, SimpleNamespace(num_embeddings=tokens)

    def encode(self, source: Tensor) -> None:
        return None

    def __call__(self, sequence: Tensor, source_kv: None, time: Tensor | None = None) -> Tensor:
        return self.predict(sequence, torch.zeros(len(sequence)) if time is None else time)


def opened(joint: Tensor, sequence: Tensor) -> Tensor:
    """log p(token | open positions), [B, L, SIZE]."""
    agrees = ((sequence[:, None] == WORDS) | (sequence[:, None] == MASK)).all(-1)  # [B, 9]
    onehot = torch.nn.functional.one_hot(WORDS, SIZE).double()  # [9, L, SIZE]
    chances = torch.einsum("bn,nlv->blv", agrees * joint, onehot)
    return (chances / chances.sum(-1, keepdim=True)).log()


def kernel(alpha: Tensor) -> Tensor:
    """q(noisy | clean) of one token, [B, V, V]."""
    return alpha[:, None, None] * torch.eye(V, dtype=torch.float64) + (1 - alpha)[:, None, None] / V


def noisy_joint(joint: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p(noisy, noisy), p(clean, noisy) and p(noisy, clean), first position first, each [B, V, V]."""
    table, noise = joint.view(V, V), kernel(alpha)
    return noise.mT @ table @ noise, table @ noise, noise.mT @ table


def left_one_out(joint: Tensor, sequence: Tensor, alpha: Tensor) -> Tensor:
    """log p(clean token | the other noisy token), [B, L, V]."""
    _, first, second = noisy_joint(joint, alpha)
    rows = torch.arange(len(sequence))
    found = torch.stack([first[rows, :, sequence[:, 1]], second[rows, sequence[:, 0]]], 1)
    return (found / found.sum(-1, keepdim=True)).log()


def ratios(joint: Tensor, sequence: Tensor, alpha: Tensor) -> Tensor:
    """log of p(noisy text with another token) / p(noisy text), [B, L, V]."""
    both, _, _ = noisy_joint(joint, alpha)
    rows = torch.arange(len(sequence))
    found = torch.stack([both[rows, :, sequence[:, 1]], both[rows, sequence[:, 0]]], 1)
    return (found / both[rows, sequence[:, 0], sequence[:, 1]][:, None, None]).log()


def exact(joint: Tensor) -> dict[str, tuple[Any, Levels]]:
    """By system: the integrand of a network that is right, and what it is integrated over."""
    masked = Toy(lambda z, t: opened(joint, z), SIZE)
    scores = Toy(lambda z, t: opened(joint, z) + math.log(SIZE - 1), SIZE)
    redrawn = Toy(lambda z, t: left_one_out(joint, z, 1.0 - t), V)
    uniform = Toy(lambda z, t: ratios(joint, z, UNIFORM.alpha(t)), V)
    return {
        "mdlm": (masked_integrand(masked, NO_SOURCE), uniform_levels),
        "sedd": (absorb_integrand(scores, NO_SOURCE), uniform_levels),
        "sedd uniform": (uniform_integrand(uniform, NO_SOURCE), geometric_levels),
        "duo": (redrawn_integrand(redrawn, NO_SOURCE), uniform_levels),
    }


def ignorant() -> dict[str, tuple[Any, Levels]]:
    """The same of networks whose predictions are noise that depends on what they see."""

    def predict(tokens: int) -> Callable[[Tensor, Tensor], Tensor]:
        table = torch.randn(SIZE, SIZE, L, tokens, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
        return lambda z, t: 0.7 * table[z[:, 0], z[:, 1]]

    return {
        "mdlm": (masked_integrand(Toy(predict(SIZE), SIZE), NO_SOURCE), uniform_levels),
        "sedd": (absorb_integrand(Toy(predict(SIZE), SIZE), NO_SOURCE), uniform_levels),
        "sedd uniform": (uniform_integrand(Toy(predict(V), V), NO_SOURCE), geometric_levels),
        "duo": (redrawn_integrand(Toy(predict(V), V), NO_SOURCE), uniform_levels),
    }


def estimates(integrand: Any, levels: Levels, draws: int = 16) -> Tensor:
    """Independent estimates of every text's bound, [REPEATS, 9]."""
    seeds = CounterRNG(torch.arange(REPEATS * len(WORDS)))
    return estimated_bound(integrand, WORDS.repeat(REPEATS, 1), seeds, levels, draws).view(REPEATS, -1)


def averaged(found: Tensor, joint: Tensor) -> tuple[float, float]:
    """The mean over texts of the language, and its standard error by chance of the draws."""
    means = found @ joint
    return float(means.mean()), float(means.std()) / math.sqrt(REPEATS)


SYSTEMS = ("mdlm", "sedd", "sedd uniform", "duo")


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_bound_of_an_exact_network_is_the_entropy_on_average(joint: Tensor, name: str) -> None:
    mean, error = averaged(estimates(*exact(joint)[name]), joint)
    entropy = float(-(joint * joint.log()).sum())
    assert error < 0.02 * entropy
    assert mean == pytest.approx(entropy, abs=4 * error + 1e-3)


@pytest.mark.parametrize("name", ["mdlm", "sedd"])
def test_under_masks_an_exact_network_is_right_of_every_text(joint: Tensor, name: str) -> None:
    found = estimates(*exact(joint)[name])
    errors = found.std(0) / math.sqrt(REPEATS)
    assert ((found.mean(0) + joint.log()).abs() < 4 * errors + 1e-9).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_network_that_is_wrong_is_above_the_entropy(joint: Tensor, name: str) -> None:
    mean, error = averaged(estimates(*ignorant()[name]), joint)
    assert mean - 4 * error > float(-(joint * joint.log()).sum()) + 0.1


@pytest.mark.parametrize("name", SYSTEMS)
def test_few_draws_and_many_estimate_the_same(joint: Tensor, name: str) -> None:
    few, many = (averaged(estimates(*ignorant()[name], draws), joint) for draws in (1, 24))
    assert many[1] < few[1]
    assert few[0] == pytest.approx(many[0], abs=4 * math.hypot(few[1], many[1]))


def test_the_weights_make_good_that_one_position_is_changed_for_certain() -> None:
    """Against the chance of every set of positions, at any level."""
    length, count = 3, 40_000
    for level in (0.05, 0.5, 0.9):
        chance = torch.full((count,), level, dtype=torch.float64)
        changed, weight = changed_positions(chance, length, CounterRNG(torch.arange(count)))
        for pattern in itertools.product([False, True], repeat=length):
            weighed = weight * (changed == torch.tensor(pattern)).all(1)
            expected = level ** sum(pattern) * (1 - level) ** (length - sum(pattern))
            error = float(weighed.std()) / math.sqrt(count)
            assert float(weighed.mean()) == pytest.approx(expected, abs=4.5 * error + 1e-3 * expected), pattern


def test_an_estimate_is_of_the_seed_and_the_text_alone(joint: Tensor) -> None:
    integrand, levels = exact(joint)["duo"]
    together = estimated_bound(integrand, WORDS, CounterRNG(torch.arange(9)), levels)
    for row in (0, 5, 8):
        alone = estimated_bound(integrand, WORDS[row : row + 1], CounterRNG(torch.tensor([row])), levels)
        assert float(alone) == pytest.approx(float(together[row]), rel=1e-12)
