"""Samplers of score-entropy diffusion (SEDD; see `baselines.token_diffusion.score_entropy`): Euler and analytic steps.

All take `predict`, a network call from a noisy sequence and t [B] to log-scores, and go from t = 1 to 0 in `steps`
equal steps of one call each. Either kind of step treats positions apart, given the sequence.

Euler: the reverse rate at t times the step's length, first order. Analytic (the paper's Tweedie tau-leaping): with
d = sigma_t - sigma_s, the entries of exp(-d Q) s times the column of exp(d Q) for the token at hand; exact for one
position under the exact score, whatever the step. The last step is analytic under either, ends at no noise, leaves no
mask, and draws. Departure: the authors stop at t = 1e-5 and take one more call from there, which they do not count.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from baselines.common.sampling import categorical
from baselines.token_diffusion.masked import TokenSchedule
from baselines.token_diffusion.score_entropy import rate
from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG

Predict = Callable[[Tensor, Tensor], Tensor]
"""Sequence int64 [B, L] and t float64 [B] -> log-scores [B, L, V]; the entry of the token at hand is 0."""

Step = Literal["euler", "analytic"]


def euler_uniform(scores: Tensor, noisy: Tensor, amount: Tensor | float) -> Tensor:
    """What the token is after an Euler step of rate * length = `amount`: probabilities [..., V], never negative.

    Args:
        scores: [..., V].
        noisy: the token at hand, int64 [...].
    """
    own = _own(scores, noisy)
    moves = (amount / scores.shape[-1] * scores).masked_fill(own, 0.0)
    return moves + own * (1.0 - moves.sum(-1, keepdim=True)).clamp_min(0.0)


def analytic_uniform(scores: Tensor, noisy: Tensor, grown: Tensor | float) -> Tensor:
    """What the token is after an analytic step; [..., V], not negative, summing to one under exact scores.

    Args:
        scores: [..., V], 1 at the noisy token.
        noisy: the token at hand, int64 [...].
        grown: exp(d) = alpha_s / alpha_t.
    """
    size = scores.shape[-1]
    staggered = grown * scores + (1.0 - grown) / size * scores.sum(-1, keepdim=True)
    own = _own(scores, noisy).to(scores.dtype)
    return (staggered * (own / grown + (1.0 - 1.0 / grown) / size)).clamp_min(0.0)


def sample_absorb(
    predict: Predict,
    sequence: Tensor,
    *,
    steps: int,
    step: Step,
    schedule: TokenSchedule,
    mask_id: int,
    seeds: CounterRNG,
) -> Tensor:
    """Open a masked sequence, int64 [B, L]; what is open stays.

    A masked position opens with probability sum(scores) * (alpha_s / alpha_t - 1) if analytic, sum(scores) * rate *
    length if Euler, at most 1, and then takes a token in proportion to its score: two-stage draws.
    """
    mask, length = torch.full((1,), mask_id, device=sequence.device), sequence.shape[1]
    for t, s, last in _times(steps, sequence.device):
        scores = predict(sequence, t.expand(len(sequence))).exp().index_fill(-1, mask, 0.0)  # [B, L, V]
        tokens = compiled_if(seeds.compiled, categorical)(scores, seeds.uniform(length))
        uniform = seeds.uniform(length)
        factor = rate(schedule, t) * (t - s) if step == "euler" else schedule.alpha(s) / schedule.alpha(t) - 1.0
        opens = (uniform < scores.sum(-1).double() * factor) | last
        sequence = torch.where((sequence == mask_id) & opens, tokens, sequence)
    return sequence


def sample_uniform(
    predict: Predict,
    *,
    length: int,
    vocabulary: int,
    steps: int,
    step: Step,
    schedule: TokenSchedule,
    seeds: CounterRNG,
) -> Tensor:
    """Texts from uniform noise over V = `vocabulary` tokens, int64 [B, L]."""
    sequence = (seeds.uniform(length) * vocabulary).long()
    for t, s, last in _times(steps, sequence.device):
        scores = predict(sequence, t.expand(len(sequence))).double().exp()  # [B, L, V]
        if step == "euler" and not last:
            probabilities = euler_uniform(scores, sequence, rate(schedule, t) * (t - s))
        else:
            remaining = 1.0 if last else schedule.alpha(s)
            probabilities = analytic_uniform(scores, sequence, remaining / schedule.alpha(t))
        sequence = compiled_if(seeds.compiled, categorical)(probabilities, seeds.uniform(length))
    return sequence


def _own(scores: Tensor, noisy: Tensor) -> Tensor:
    """True at the token at hand, bool [..., V]."""
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, noisy[..., None], True)


def _times(steps: int, device: torch.device) -> list[tuple[Tensor, Tensor, bool]]:
    """(t, s, whether this is the last step) for each step."""
    grid = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64, device=device)
    return [(t, s, number == steps) for number, (t, s) in enumerate(itertools.pairwise(grid), 1)]
