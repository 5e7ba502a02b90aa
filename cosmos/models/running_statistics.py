"""Latents standardised by running statistics while the compressor that makes them learns.

A loss in latent space alone is least where all latents are one and the same. Divided by their running deviation they
have deviation 1 whatever the compressor's scale (LDLM, 2605.07933). With that deviation taken as a constant, though, a
smaller scale would still lower the loss until the statistics have followed, and so the scale would fall for ever. Here
the gradient is that of standardising by the batch's own statistics, to which neither a shift nor a scale of a latent
number makes any difference, while the value is by the running ones (batch renormalisation, Ioffe, 1702.03275).

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, distributed

from cosmos.models.autoencoder import LatentNormaliser

DECAY = 0.97  # of the statistics, for each step
LEAST_VARIANCE = 1e-4  # as `LatentNormaliser.fit` has it


class Moments(NamedTuple):
    """Sums over texts, which add up over processes."""

    count: Tensor  # texts, a scalar
    first: Tensor  # of latents [N, C]
    second: Tensor  # of their squares [N, C]


def moments(latents: Tensor) -> Moments:
    """Of raw latents [B, N, C], in float64 and without a gradient."""
    wide = latents.detach().double()
    return Moments(wide.new_full((), len(wide)), wide.sum(0), wide.square().sum(0))


def standardise_running(normaliser: LatentNormaliser, latents: Tensor) -> Tensor:
    """Raw latents [B, N, C] -> standardised by the running statistics, with the gradient that is described above.

    A batch of one text has no statistics, and gets no gradient. Where processes share a batch, its statistics are those
    of all of its texts, and so are their gradients.
    """
    if not _shared():
        mean = latents.mean(0)
        std = (latents - mean).square().mean(0).clamp_min(LEAST_VARIANCE).sqrt()  # [N, C]
    else:
        texts = _summed(latents.new_full((), len(latents)))
        mean = _summed(latents.sum(0)) / texts
        std = (_summed((latents - mean).square().sum(0)) / texts).clamp_min(LEAST_VARIANCE).sqrt()
    scale, shift = std.detach() / normaliser.std, (mean.detach() - normaliser.mean) / normaliser.std
    return (latents - mean) / std * scale + shift


def _shared() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _summed(values: Tensor) -> Tensor:
    """The sum over processes, with a gradient to each of them."""
    from torch.distributed.nn.functional import all_reduce  # not there where torch was built without it

    return cast(Tensor, all_reduce(values))


@torch.no_grad()
def update_running(normaliser: LatentNormaliser, batch: Moments, decay: float = DECAY) -> None:
    """Move mean and deviation towards those of a batch: exponentially weighted moments, in place."""
    mean = batch.first / batch.count
    variance = batch.second / batch.count - mean.square()
    shift = mean - normaliser.mean
    # The variance of a mixture of what was and what is, with weights `decay` and 1 - `decay`.
    mixed = decay * normaliser.std.double().square() + (1 - decay) * variance + decay * (1 - decay) * shift.square()
    normaliser.mean.add_((1 - decay) * shift)
    normaliser.std.copy_(mixed.clamp_min(LEAST_VARIANCE).sqrt())
