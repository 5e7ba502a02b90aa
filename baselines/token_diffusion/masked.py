"""Masked (absorbing-state) diffusion over tokens: schedule, SUBS parametrisation, likelihood bound.

Source: Sahoo et al., "Simple and Effective Masked Diffusion Language Models" (2024, arXiv:2406.07524): the forward
process, SUBS, and the continuous-time bound. All are functions of arrays: exact toys and training run the same code.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class TokenSchedule(Protocol):
    """How likely a token is still open at time t in [0, 1]; falls from 1."""

    def alpha(self, t: Tensor) -> Tensor: ...

    def derivative(self, t: Tensor) -> Tensor:
        """d alpha / dt, negative."""
        ...


@dataclass(frozen=True)
class LogLinear:
    """alpha(t) = 1 - (1 - eps) t, so that the total noise -log alpha grows like -log(1 - t)."""

    eps: float = 1e-3

    def alpha(self, t: Tensor) -> Tensor:
        return 1.0 - (1.0 - self.eps) * t

    def derivative(self, t: Tensor) -> Tensor:
        return torch.full_like(t, self.eps - 1.0)

    def time(self, alpha: Tensor) -> Tensor:
        """The t at which alpha is this, or the last where it is never so low."""
        return ((1.0 - alpha) / (1.0 - self.eps)).clamp_max(1.0)


def time_steps(steps: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Where each of `steps` equal steps of t from 1 to 0 begins and ends, float64 scalars."""
    return list(itertools.pairwise(nodes(steps, device)))


def nodes(steps: int, device: torch.device) -> Tensor:
    """Where equal steps of t from 1 to 0 begin and, after the last, end: float64 [steps + 1]."""
    return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64, device=device)


def weight(schedule: TokenSchedule, t: Tensor) -> Tensor:
    """What the summed cross-entropy of masked tokens counts at time t: -alpha'(t) / (1 - alpha(t))."""
    return -schedule.derivative(t) / (1.0 - schedule.alpha(t))


def forbid_mask(logits: Tensor, mask_id: int) -> Tensor:
    """SUBS, first half: the clean token is never the mask, so its logit, of [..., V], is -inf."""
    return logits.index_fill(-1, torch.full((1,), mask_id, device=logits.device), -torch.inf)


def token_nll(logits: Tensor, noisy: Tensor, clean: Tensor, mask_id: int) -> Tensor:
    """-log p(clean token | noisy sequence) under SUBS; logits [..., V], tokens and result [...].

    Second half of SUBS: an open position predicts itself with probability one, so it costs nothing.
    """
    nll = -forbid_mask(logits, mask_id).log_softmax(-1).gather(-1, clean[..., None])[..., 0]
    return torch.where(noisy == mask_id, nll, 0.0)


def surest_clean(logits: Tensor, mask_id: int) -> tuple[Tensor, Tensor]:
    """The largest log-probability among clean tokens, float32 [...], and its token; logits [..., V]."""
    highest = forbid_mask(logits.float(), mask_id).log_softmax(-1).max(-1)
    return highest.values, highest.indices
