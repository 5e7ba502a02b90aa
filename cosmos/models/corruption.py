"""What is done to a text on its way through the autoencoder in training, so that the latent space becomes smooth.

Activation corruption makes the compressor robust (token dropping, noise on its input), latent zeroing the decompressor
(cosmos.md 1.5). The release splits each batch in halves; here every text draws its own kind from its own stream, with
the same shares, so that a text's corruption does not depend on its batch. Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cosmos.config import CorruptionConfig
from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG, normal_at


class Corruption(NamedTuple):
    """What the compressor gets, and what is left of the latents."""

    states: Tensor  # [B, L, T] noised where the text drew noise
    visible: Tensor  # bool [B, L], False on pads and dropped tokens
    keep: Tensor | None  # bool [B, N, C], False where a latent number becomes zero; None: nothing is zeroed


def strength_at(progress: Tensor, config: CorruptionConfig) -> Tensor | None:
    """How strong corruption is when a share of the budget is used, a scalar in [0, 1]; None: as the config has it."""
    return (progress / config.full_from).clamp(max=1.0) if config.full_from > 0 else None


def drop_tokens(mask: Tensor, rate: float | Tensor, seeds: CounterRNG) -> Tensor:
    """Hide each token with chance `rate`: bool [B, L] -> bool [B, L]. Dropping acts through the compressor's mask."""
    return mask & (seeds.uniform(mask.shape[1]) >= rate)


def add_noise(states: Tensor, keep: float | Tensor, noise: Tensor) -> Tensor:
    """keep * h + sqrt(1 - keep^2) * eps, which holds the variance of standardised states; both [B, L, T]."""
    lost = torch.sqrt(1.0 - keep**2) if isinstance(keep, Tensor) else math.sqrt(1.0 - keep**2)
    return keep * states + lost * noise


def noised_rows(states: Tensor, noised: Tensor, stream: Tensor, place: Tensor, keep: float | Tensor) -> Tensor:
    """States [B, L, T] with noise where `noised`, bool [B], says so; stream and place are a draw of L * T numbers a
    row (`cosmos.runtime.rng.CounterRNG.draw`). Compiled, it is one pass from counters to states."""
    noise = normal_at(stream, place, states.dtype).view_as(states)
    return torch.where(noised[:, None, None], add_noise(states, keep, noise), states)


def corrupt(
    states: Tensor,
    mask: Tensor,
    latents: tuple[int, int],
    config: CorruptionConfig,
    seeds: CounterRNG,
    progress: Tensor | None = None,
) -> Corruption:
    """Draw the corruption of each text from its own stream.

    Args:
        states: standardised [B, L, T]. mask: bool [B, L], True on tokens. latents: shape (N, C) of one text's.
        seeds: one stream per text; the same number of draws is taken whatever they decide.
        progress: share of the budget used, a scalar; rates grow with it where the config says so. None: full strength.
    """
    strength = None if progress is None else strength_at(progress, config)
    drop_rate: float | Tensor = config.drop_rate
    noise_keep: float | Tensor = config.noise_keep
    latent_rate: float | Tensor = config.latent_rate
    if strength is not None:
        drop_rate, latent_rate = drop_rate * strength, latent_rate * strength
        noise_keep = 1.0 - (1.0 - noise_keep) * strength
    kind = seeds.uniform()  # [B]: the first share drops tokens, the next is noised, the rest stays clean
    visible, keep = mask, None
    if config.drop_share > 0:
        dropped = drop_tokens(mask, drop_rate, seeds)
        visible = torch.where((kind < config.drop_share)[:, None], dropped, mask)
    if config.noise_share > 0:
        noised = (kind >= config.drop_share) & (kind < config.drop_share + config.noise_share)
        draw = seeds.draw(math.prod(states.shape[1:]))
        states = compiled_if(seeds.fused, noised_rows, static=True)(states, noised, *draw, noise_keep)
    if config.latent_share > 0:
        clean = seeds.uniform() >= config.latent_share  # [B]
        keep = (seeds.uniform(*latents) >= latent_rate) | clean[:, None, None]
    return Corruption(states, visible, keep)
