"""Noise schedules of a variance-preserving process z_t = alpha(t) z_0 + sigma(t) eps, t in [0, 1].

A schedule is a frozen dataclass of pure functions of tensors, any shape, dtype and device kept:
    alpha, sigma     with alpha^2 + sigma^2 = 1
    log_snr          2 log(alpha / sigma), falling in t
    beta             -2 d log alpha / dt, the rate of the forward SDE dz = -beta/2 z dt + sqrt(beta) dW
    log_snr_rate     d log_snr / dt = -beta / sigma^2
    time             the inverse: t of a log-SNR
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from cosmos.config import ScheduleConfig
from cosmos.io.errors import unknown

BETA_LIMIT = 0.95
"""The authors' solver takes beta at min(t, 0.95), as beta grows without bound towards t = 1 (cosmos.md 2.1)."""


class Schedule(Protocol):
    def alpha(self, t: Tensor) -> Tensor: ...
    def sigma(self, t: Tensor) -> Tensor: ...
    def log_snr(self, t: Tensor) -> Tensor: ...
    def beta(self, t: Tensor) -> Tensor: ...
    def time(self, log_snr: Tensor) -> Tensor: ...


def log_snr_rate(schedule: Schedule, t: Tensor) -> Tensor:
    """d log_snr / dt, which is -beta / sigma^2 for every variance-preserving process."""
    return -schedule.beta(t) / schedule.sigma(t).square()


@dataclass(frozen=True)
class Tangent:
    """tan-d: sigma/alpha = d tan(pi t / 2) (TEncDM, 2402.19097; cosmos.md 2.1).

    d = 1 is the cosine schedule alpha = cos(pi t / 2) (Nichol and Dhariwal, 2102.09672, without their offset).
    """

    d: float = 5.0

    def _ratio(self, t: Tensor) -> Tensor:
        """sigma/alpha; the absolute value, as pi/2 is rounded up in float32, beyond the pole at t = 1."""
        return self.d * torch.tan(math.pi / 2 * t).abs()

    def alpha(self, t: Tensor) -> Tensor:
        return torch.rsqrt(1.0 + self._ratio(t).square())

    def sigma(self, t: Tensor) -> Tensor:
        """As the authors have it: exact to the last digits in float64, to 1e-5 near t = 0 in float32."""
        return torch.sqrt(1.0 - self.alpha(t).square())

    def log_snr(self, t: Tensor) -> Tensor:
        return -2.0 * torch.log(self._ratio(t))

    def beta(self, t: Tensor) -> Tensor:
        """pi d^2 tan (1 + tan^2) / (1 + d^2 tan^2), with tan = tan(pi t / 2)."""
        tan = self._ratio(t) / self.d
        return math.pi * self.d**2 * tan * (1.0 + tan.square()) / (1.0 + (self.d * tan).square())

    def time(self, log_snr: Tensor) -> Tensor:
        return 2.0 / math.pi * torch.atan(torch.exp(-0.5 * log_snr) / self.d)


@dataclass(frozen=True)
class Linear:
    """beta rises linearly from `low` to `high` (Song et al., 2011.13456, VP SDE; the DDPM schedule in the limit)."""

    low: float = 0.1
    high: float = 20.0

    def _integral(self, t: Tensor) -> Tensor:
        return self.low * t + 0.5 * (self.high - self.low) * t.square()

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-0.5 * self._integral(t))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(-self._integral(t)))

    def log_snr(self, t: Tensor) -> Tensor:
        return -torch.log(torch.expm1(self._integral(t)))

    def beta(self, t: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * t

    def time(self, log_snr: Tensor) -> Tensor:
        integral = -functional.logsigmoid(log_snr)  # -log alpha^2
        slope = self.high - self.low
        return 2.0 * integral / (self.low + torch.sqrt(self.low**2 + 2.0 * slope * integral))


def make_schedule(config: ScheduleConfig) -> Schedule:
    """The schedule of a name, or `UserError`."""
    schedules = {"tan": Tangent(config.d), "cosine": Tangent(1.0), "linear": Linear()}
    if config.name not in schedules:
        raise unknown("schedule", config.name, schedules)
    return schedules[config.name]
