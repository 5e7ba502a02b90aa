"""Samplers of uniform-state diffusion.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from baselines.draws import categorical, nucleus
from baselines.masked_diffusion import Schedule
from baselines.uniform_diffusion import posterior
from cosmos.randomness import Seeds

Predict = Callable[[Tensor, Tensor], Tensor]
"""Canvas int64 [B, L] and alpha float64 [B] -> logits of clean tokens [B, L, V]."""


def ancestral(
    predict: Predict,
    *,
    length: int,
    vocabulary: int,
    steps: int,
    schedule: Schedule,
    seeds: Seeds,
    greedy_tail: bool = False,
    top_p: float = 1.0,
) -> Tensor:
    """The reverse process from uniform noise in `steps` equal steps of t from 1 to 0, one network call each.

    Every step draws each token anew from its posterior, in float64. The last step ends at no noise: its posterior is
    the predicted distribution times the likelihood of the noisy token.

    Args:
        greedy_tail: take the most probable token in the last step (Duo, 2025): as top-p does for autoregression, it
            gives up variety for quality.
        top_p: draw from the nucleus of this mass of each posterior.

    Returns:
        int64 [B, L].
    """
    canvas = (seeds.uniform(length) * vocabulary).long()
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64, device=canvas.device)
    for number, (t, s) in enumerate(itertools.pairwise(times), 1):
        alpha_t = schedule.alpha(t)
        predicted = predict(canvas, alpha_t.expand(len(canvas))).double().softmax(-1)  # [B, L, V]
        chances = posterior(predicted, canvas, alpha_t, schedule.alpha(s))
        if top_p < 1.0:
            chances = nucleus(chances.log(), top_p).softmax(-1)
        uniform = seeds.uniform(length)
        canvas = chances.argmax(-1) if greedy_tail and number == steps else categorical(chances, uniform)
    return canvas
