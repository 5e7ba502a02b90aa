"""Diffusion over learned word embeddings: schedule, partial noising, losses.

Sources: Li et al., "Diffusion-LM Improves Controllable Text Generation" (2022, arXiv:2205.14217): the sqrt schedule
and the losses; Gong et al., "DiffuSeq" (2022, arXiv:2210.08933): partial noising.

Axis legend: B rows (texts), L positions, E embedding width, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cosmos.models.token_head import summed_nll


@dataclass(frozen=True)
class Sqrt:
    """sigma^2 = sqrt(t): noise rises fast near the data, where rounding would otherwise make denoising trivial.

    With u = sigma^2 = sqrt((t + s) / (1 + s)) and alpha^2 = 1 - u. The papers have u = sqrt(t + s), which ends a little
    beyond pure noise and is cut off there; divided by 1 + s it ends on pure noise exactly. At t = 0 the noise of the
    first step is left, sigma = s^(1/4): the words themselves have that width. A `cosmos.diffusion.schedule.Schedule`.
    """

    s: float = 1e-4

    def _variance(self, t: Tensor) -> Tensor:
        return torch.sqrt((t + self.s) / (1.0 + self.s))

    def alpha(self, t: Tensor) -> Tensor:
        """From 1 - u = (1 - u^2) / (1 + u), which loses no digits near t = 1."""
        return torch.sqrt((1.0 - t) / (1.0 + self.s) / (1.0 + self._variance(t)))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(self._variance(t))

    def log_snr(self, t: Tensor) -> Tensor:
        return 2.0 * (torch.log(self.alpha(t)) - torch.log(self.sigma(t)))

    def beta(self, t: Tensor) -> Tensor:
        """-2 d log alpha / dt = u' / (1 - u) with u' = 1 / (2 (1 + s) u)."""
        u = self._variance(t)
        return (1.0 + u) / (2.0 * u * (1.0 - t))

    def time(self, log_snr: Tensor) -> Tensor:
        """t = (1 + s) u^2 - s with u = sigmoid(-log_snr)."""
        return (1.0 + self.s) * torch.sigmoid(-log_snr).square() - self.s


def partially_noised(embedded: Tensor, is_target: Tensor, t: Tensor, noise: Tensor, schedule: Sqrt) -> Tensor:
    """alpha x + sigma eps at target positions, x elsewhere; x and noise [B, L, E], is_target bool [L], t [B]."""
    wide = t.double()[:, None, None]
    noisy = schedule.alpha(wide).to(embedded.dtype) * embedded + schedule.sigma(wide).to(embedded.dtype) * noise
    return torch.where(is_target[:, None], noisy, embedded)


def rounding_nll(vectors: Tensor, table: Tensor, bias: Tensor, tokens: Tensor, compiled: bool = False) -> Tensor:
    """-log p(token | vector) of the rounding head whose weights are the embeddings, in nats, summed; vectors [..., E],
    table [V, E], bias [V], tokens int64 [...]. `compiled` as in `cosmos.models.token_head.chunked_loss`."""
    flat = tokens.flatten()
    ones = torch.ones(len(flat), device=flat.device)
    return summed_nll(vectors.flatten(0, -2), table, flat, ones, bias, compiled)


class Terms(NamedTuple):
    """The terms of the loss, each summed over target positions."""

    error: Tensor  # mean over E of (x_0 - estimate)^2
    rounding: Tensor  # -log p(word | x_0): keeps words apart
    anchor: Tensor  # -log p(word | estimate): keeps words apart where the network must tell them

    def total(self) -> Tensor:
        return self.error + self.rounding + self.anchor
