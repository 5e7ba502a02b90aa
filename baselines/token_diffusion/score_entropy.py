"""Discrete diffusion by ratios of probabilities: score entropy under absorbing and uniform noise.

Source: Lou, Meng and Ermon, "Discrete Diffusion Modeling by Estimating the Ratios of the Data Distribution" (SEDD,
2024, arXiv:2310.16834). A network estimates s(x, t)_y = p_t(y) / p_t(x) for texts y that differ from x in one token;
the loss is the denoising score entropy, rate(t) * sum over y of Q(x, y) (s_y - r_y log s_y + r_y (log r_y - 1)),
where r_y is the same ratio given the clean text. It is zero where s = r, and its integral over t bounds -log
p(clean).

Noise is told by alpha = exp(-sigma), the probability that a token has met no noise, as in
`baselines.token_diffusion.masked`, whose schedules serve here too. An absorbing token turns into the mask with
probability 1 - alpha; a uniform one is redrawn from all V tokens with that probability (the authors' convention: rates
are divided by V).

Axis legend: V tokens; `...` any axes, the same in all arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.token_diffusion.masked import TokenSchedule


@dataclass(frozen=True)
class Geometric:
    """sigma(t) = low^(1-t) high^t, the authors' noise for uniform transitions; alpha = exp(-sigma)."""

    low: float = 1e-4
    high: float = 20.0

    def sigma(self, t: Tensor) -> Tensor:
        return self.low ** (1.0 - t) * self.high**t

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

    Args:
        log_scores: [..., V]; the entry of the mask is not read.
        clean: int64 [...].
        alpha: [...].

    Returns:
        [...].
    """
    log_ratio = absorb_log_ratio(alpha)
    relative = log_scores - log_ratio[..., None]  # [..., V]
    relative = relative.index_fill(-1, torch.full((1,), mask_id, device=relative.device), -torch.inf)
    return log_ratio.exp() * (relative.exp().sum(-1) - relative.gather(-1, clean[..., None])[..., 0] - 1.0)


def uniform_entropy(log_scores: Tensor, noisy: Tensor, clean: Tensor, alpha: Tensor) -> Tensor:
    """Score entropy under uniform transitions, per unit of sigma.

    With c = (1 - alpha) / V and k = alpha + c, the ratios r_y = p(y | clean) / p(noisy | clean) of y != noisy are c / k
    where the token is still clean, otherwise k / c for the clean token and 1 for all others.

    Args:
        log_scores: [..., V]; the entry of the noisy token itself is not read.
        noisy, clean: int64 [...].
        alpha: [...].

    Returns:
        [...].
    """
    size = log_scores.shape[-1]
    changed = (1.0 - alpha) / size
    log_ratio = torch.log(changed) - torch.log(alpha + changed)  # [...], log of c / k
    unchanged = noisy == clean
    own = torch.zeros_like(log_scores, dtype=torch.bool).scatter(-1, noisy[..., None], True)  # [..., V]
    scores = log_scores.exp().masked_fill(own, 0.0).sum(-1)
    logs = log_scores.masked_fill(own, 0.0).sum(-1)
    log_clean = log_scores.gather(-1, clean[..., None])[..., 0]
    ratio = log_ratio.exp()
    # Where the token is clean: all V - 1 ratios are c / k.
    whole = scores - ratio * logs + (size - 1) * ratio * (log_ratio - 1.0)
    # Where it is not: one ratio is k / c, the others are 1.
    back = torch.exp(-log_ratio)
    changed_one = scores - (logs - log_clean) - (size - 2) - back * log_clean + back * (-log_ratio - 1.0)
    return torch.where(unchanged, whole, changed_one) / size
