"""Discrete diffusion by ratios of probabilities, under absorbing and uniform noise: score entropy, and samplers.

Source: Lou, Meng and Ermon, "Discrete Diffusion Modeling by Estimating the Ratios of the Data Distribution" (SEDD,
2024, arXiv:2310.16834). A network estimates s(x, t)_y = p_t(y) / p_t(x) for texts y that differ from x in one token;
the loss is the denoising score entropy, rate(t) * sum over y of Q(x, y) (s_y - r_y log s_y + r_y (log r_y - 1)),
where r_y is the same ratio given the clean text. It is zero where s = r, and its integral over t bounds -log
p(clean).

Noise is told by alpha = exp(-sigma), the probability that a token has met no noise, as in
`baselines.token_diffusion.masked`, whose schedules serve here too. An absorbing token turns into the mask with
probability 1 - alpha; a uniform one is redrawn from all V tokens with that probability (the authors' convention: rates
are divided by V).

Samplers go from t = 1 to 0 in `steps` equal steps of one call each, which treat positions apart, given the sequence.
Euler: the reverse rate at t times the step's length, first order. Analytic (the paper's Tweedie tau-leaping): with
d = sigma_t - sigma_s, the entries of exp(-d Q) s times the column of exp(d Q) for the token at hand; exact for one
position under the exact score, whatever the step. The last step is analytic under either, ends at no noise, leaves no
mask, and draws. Departure: the authors stop at t = 1e-5 and take one more call from there, which they do not count.

Axis legend: B rows (texts), L positions, V tokens; `...` any axes, the same in all arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from baselines.common.sampling import categorical, uniforms_of
from baselines.token_diffusion.masked import TokenSchedule, forbid_mask, time_steps
from baselines.token_diffusion.reading import LogitReading
from cosmos.runtime.rng import CounterRNG

Read = Callable[[Tensor, Tensor, LogitReading], tuple[Tensor, ...]]
"""Sequence int64 [B, L] and t float64 [B] -> what the reading makes of log-scores, whose entry of the token at hand is
0."""

Step = Literal["euler", "analytic"]


@dataclass(frozen=True)
class Geometric:
    """sigma(t) = low^(1-t) high^t, the authors' noise for uniform transitions; alpha = exp(-sigma)."""

    low: float = 1e-4
    high: float = 20.0

    def sigma(self, t: Tensor) -> Tensor:
        return self.low ** (1.0 - t) * self.high**t

    def time(self, sigma: Tensor) -> Tensor:
        """The t at which sigma is this."""
        return torch.log(sigma / self.low) / math.log(self.high / self.low)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-self.sigma(t))

    def derivative(self, t: Tensor) -> Tensor:
        return -self.sigma(t) * math.log(self.high / self.low) * self.alpha(t)


def rate(schedule: TokenSchedule, t: Tensor) -> Tensor:
    """d sigma / dt at time t."""
    return -schedule.derivative(t) / schedule.alpha(t)


def absorb_log_ratio(alpha: Tensor) -> Tensor:
    """log of p(token) / p(mask) given that the clean token is this one: log(alpha / (1 - alpha))."""
    return torch.log(alpha) - torch.log1p(-alpha)


def absorb_entropy(log_scores: Tensor, clean: Tensor, alpha: Tensor, mask_id: int) -> Tensor:
    """Score entropy of masked positions, per unit of sigma; an open position has none.

    sum over y != mask of s_y - r log s_clean + r (log r - 1), with r = alpha / (1 - alpha). It is computed from
    log s - log r, of order one at every noise level. With s = r p for normalised p it is -r log p(clean): MDLM's loss.

    Log-scores are [..., V], of which the entry of the mask is not read; clean tokens, alpha and the result [...].
    """
    log_ratio = absorb_log_ratio(alpha)
    relative = forbid_mask(log_scores - log_ratio[..., None], mask_id)  # [..., V]
    return log_ratio.exp() * (relative.exp().sum(-1) - relative.gather(-1, clean[..., None])[..., 0] - 1.0)


def uniform_entropy(log_scores: Tensor, noisy: Tensor, clean: Tensor, alpha: Tensor) -> Tensor:
    """Score entropy under uniform transitions, per unit of sigma.

    With c = (1 - alpha) / V and k = alpha + c, the ratios r_y = p(y | clean) / p(noisy | clean) of y != noisy are c / k
    where the token is still clean, otherwise k / c for the clean token and 1 for all others.

    Log-scores are [..., V], of which the entry of the noisy token is not read; tokens, alpha and the result [...].
    """
    size = log_scores.shape[-1]
    changed = (1.0 - alpha) / size
    log_ratio = torch.log(changed) - torch.log(alpha + changed)  # [...], log of c / k
    own = _own(log_scores, noisy)
    scores = log_scores.exp().masked_fill(own, 0.0).sum(-1)
    logs = log_scores.masked_fill(own, 0.0).sum(-1)
    log_clean = log_scores.gather(-1, clean[..., None])[..., 0]
    ratio = log_ratio.exp()
    # Where the token is clean: all V - 1 ratios are c / k.
    whole = scores - ratio * logs + (size - 1) * ratio * (log_ratio - 1.0)
    # Where it is not: one ratio is k / c, the others are 1.
    back = torch.exp(-log_ratio)
    changed_one = scores - (logs - log_clean) - (size - 2) - back * log_clean + back * (-log_ratio - 1.0)
    return torch.where(noisy == clean, whole, changed_one) / size


def _own(scores: Tensor, noisy: Tensor) -> Tensor:
    """True at the token at hand, bool [..., V]."""
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, noisy[..., None], True)


def euler_uniform(scores: Tensor, noisy: Tensor, amount: Tensor | float) -> Tensor:
    """What a token, int64 [...], is after an Euler step of rate * length = `amount`: probabilities [..., V]."""
    own = _own(scores, noisy)
    moves = (amount / scores.shape[-1] * scores).masked_fill(own, 0.0)
    return moves + own * (1.0 - moves.sum(-1, keepdim=True)).clamp_min(0.0)


def analytic_uniform(scores: Tensor, noisy: Tensor, grown: Tensor | float) -> Tensor:
    """What the token at hand, int64 [...], is after an analytic step with `grown` = exp(d) = alpha_s / alpha_t.

    Scores [..., V] are 1 at the token. The result [..., V] is not negative and sums to one under exact scores.
    """
    size = scores.shape[-1]
    staggered = grown * scores + (1.0 - grown) / size * scores.sum(-1, keepdim=True)
    own = _own(scores, noisy).to(scores.dtype)
    return (staggered * (own / grown + (1.0 - 1.0 / grown) / size)).clamp_min(0.0)


def sample_absorb(
    read: Read,
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
    drawn = uniforms_of(seeds, 2 * steps, sequence.shape[1])
    for number, (t, s) in enumerate(time_steps(steps, sequence.device), 1):
        reading = LogitReading(draw_absorb, (next(drawn),), {"mask_id": mask_id}, compiled=seeds.compiled)
        tokens, total = read(sequence, t.expand(len(sequence)), reading)
        uniform = next(drawn)
        factor = rate(schedule, t) * (t - s) if step == "euler" else schedule.alpha(s) / schedule.alpha(t) - 1.0
        opens = (uniform < total.double() * factor) | (number == steps)
        sequence = torch.where((sequence == mask_id) & opens, tokens, sequence)
    return sequence


def draw_absorb(log_scores: Tensor, uniform: Tensor, mask_id: int) -> tuple[Tensor, Tensor]:
    """Clean tokens in proportion to their scores, by `uniform` [...]; and the sum of the scores. Log-scores are
    [..., V]."""
    scores = forbid_mask(log_scores, mask_id).exp()
    return categorical(scores, uniform), scores.sum(-1)


def sample_uniform(
    read: Read,
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
    drawn = uniforms_of(seeds, steps, length)
    for number, (t, s) in enumerate(time_steps(steps, sequence.device), 1):
        columns, compiled = (sequence, next(drawn)), seeds.compiled
        if step == "euler" and number < steps:
            reading = LogitReading(draw_euler, columns, {"amount": rate(schedule, t) * (t - s)}, compiled=compiled)
        else:
            remaining = schedule.alpha(s) if number < steps else 1.0
            reading = LogitReading(draw_analytic, columns, {"grown": remaining / schedule.alpha(t)}, compiled=compiled)
        (sequence,) = read(sequence, t.expand(len(sequence)), reading)
    return sequence


def draw_euler(log_scores: Tensor, noisy: Tensor, uniform: Tensor, amount: Tensor) -> tuple[Tensor]:
    """Tokens of `euler_uniform`, of log-scores [..., V], by `uniform` [...]."""
    return (categorical(euler_uniform(log_scores.double().exp(), noisy, amount), uniform),)


def draw_analytic(log_scores: Tensor, noisy: Tensor, uniform: Tensor, grown: Tensor) -> tuple[Tensor]:
    """Tokens of `analytic_uniform`, of log-scores [..., V], by `uniform` [...]."""
    return (categorical(analytic_uniform(log_scores.double().exp(), noisy, grown), uniform),)
