"""Where uniform-state diffusion comes from Gaussian diffusion: Sahoo et al., "The Diffusion Duality" (Duo, 2025,
arXiv:2506.10892).

Put Gaussian noise on a one-hot token, w = a x + sqrt(1 - a^2) noise; its largest entry is a uniform-state process whose
alpha is a function of a and V alone. So a Gaussian path gives discrete paths: inputs that are nearly one-hot during the
curriculum, and two noisy texts on one path for distillation. Noise is told by gamma = log((1 - a^2) / a^2), as there.

Departures: alpha and its derivative are integrated by the trapezoidal rule for each gamma asked for (of spectral
accuracy, and cheap beside a network), where the authors store a table; and noise is drawn for all V tokens, which the
small vocabularies here make affordable, without their approximations.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NODES, HALF_WIDTH = 512, 10.0  # of the integral over a standard normal
AUTHORS_VOCABULARY = 30_522


def signal_to_alpha(gamma: Tensor, vocabulary: int) -> tuple[Tensor, Tensor]:
    """alpha of the uniform-state process, and d alpha / d gamma (negative); float64, the shape of gamma.

    alpha = V / (V - 1) (E[Phi(z + r)^(V - 1)] - 1 / V) over a standard normal z, with r = a / sqrt(1 - a^2).
    """
    ratio = torch.exp(-gamma.double() / 2.0)[..., None]  # r
    z = torch.linspace(-HALF_WIDTH, HALF_WIDTH, NODES, dtype=torch.float64, device=gamma.device)
    share = torch.exp(-(z**2) / 2.0) / math.sqrt(2.0 * math.pi) * (2.0 * HALF_WIDTH / (NODES - 1))
    log_phi = torch.special.log_ndtr(z + ratio)  # [..., NODES]
    density = torch.exp(-((z + ratio) ** 2) / 2.0) / math.sqrt(2.0 * math.pi)
    wins = (share * torch.exp((vocabulary - 1) * log_phi)).sum(-1)  # that the clean token's entry is the largest
    slope = (share * (vocabulary - 1) * torch.exp((vocabulary - 2) * log_phi) * density).sum(-1)  # d wins / d r
    scale = vocabulary / (vocabulary - 1)
    return scale * (wins - 1.0 / vocabulary), -scale * slope * ratio[..., 0] / 2.0


def gamma_at(alpha: float, vocabulary: int) -> float:
    """The gamma at which the uniform-state process has this alpha in (0, 1), by bisection."""
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2.0
        alpha_there = float(signal_to_alpha(torch.tensor(middle), vocabulary)[0])
        low, high = (middle, high) if alpha_there > alpha else (low, middle)
    return (low + high) / 2.0


def same_noise(gamma: float, vocabulary: int) -> float:
    """The gamma of equal alpha here, for a gamma that the authors chose for a vocabulary of 30,522 tokens."""
    alpha = float(signal_to_alpha(torch.tensor(gamma), AUTHORS_VOCABULARY)[0])
    return gamma_at(alpha, vocabulary)


def gaussian_tokens(clean: Tensor, gamma: Tensor, noise: Tensor) -> Tensor:
    """Noisy one-hot vectors w = a x + sqrt(1 - a^2) noise [B, L, V] of clean tokens [B, L] at gamma [B]."""
    signal, spread = torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()  # [B]
    noisy = noise * spread[:, None, None].to(noise.dtype)
    shift = signal[:, None, None].to(noise.dtype).expand(*clean.shape, 1)
    return noisy.scatter_add(-1, clean[..., None], shift)
