"""Samplers of uniform-state diffusion.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from baselines.common.sampling import categorical, nucleus
from baselines.token_diffusion.masked import TokenSchedule
from baselines.token_diffusion.uniform import posterior
from cosmos.runtime.compilation import compiled_if
from cosmos.runtime.rng import CounterRNG

Predict = Callable[[Tensor, Tensor], Tensor]
"""Sequence int64 [B, L] and alpha float64 [B] -> logits of clean tokens [B, L, V]."""


def ancestral(
    predict: Predict,
    *,
    length: int,
    vocabulary: int,
    steps: int,
    schedule: TokenSchedule,
    seeds: CounterRNG,
    greedy_tail: bool = False,
    top_p: float = 1.0,
) -> Tensor:
    """The reverse process from uniform noise in `steps` equal steps of t from 1 to 0, one network call each.

    Every step draws each token anew from its posterior. The last step ends at no noise: its posterior is
    the predicted distribution times the likelihood of the noisy token.

    Args:
        greedy_tail: take the most probable token in the last step (Duo, 2025): as top-p does for autoregression, it
            gives up variety for quality.
        top_p: draw from the nucleus of this mass of each posterior.

    Returns:
        int64 [B, L].
    """
    sequence = (seeds.uniform(length) * vocabulary).long()
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64, device=sequence.device)
    for number, (t, s) in enumerate(itertools.pairwise(times), 1):
        alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
        logits = predict(sequence, alpha_t.expand(len(sequence)))  # [B, L, V]
        uniform = seeds.uniform(2, length)
        if greedy_tail and number == steps:
            sequence = posterior(logits.float().softmax(-1), sequence, alpha_t.float(), alpha_s.float()).argmax(-1)
        elif top_p < 1.0:
            chances = posterior(logits.double().softmax(-1), sequence, alpha_t, alpha_s)
            chances = nucleus(chances.log(), top_p).softmax(-1)
            sequence = compiled_if(seeds.compiled, categorical)(chances, uniform[:, 0])
        else:
            draw = compiled_if(seeds.compiled, sample_posterior)
            sequence = draw(logits, sequence, alpha_t, alpha_s, uniform[:, 0], uniform[:, 1])
    return sequence


def sample_posterior(
    logits: Tensor, noisy: Tensor, alpha_t: Tensor, alpha_s: Tensor, uniform: Tensor, other: Tensor
) -> Tensor:
    """Tokens from `posterior` [..., V], in two stages: it is a mixture of the token at hand, the prediction and a
    uniform token, so only one of these is drawn from and no distribution over V is computed but the prediction.

    Args:
        logits: of the prediction, [..., V].
        noisy: int64 [...].
        uniform, other: what the part and its token are drawn with, float64 [...].
    """
    size = logits.shape[-1]
    probabilities = logits.float().softmax(-1)
    here = probabilities.gather(-1, noisy[..., None])[..., 0].double()
    between = alpha_t / alpha_s
    stays = alpha_t * size * here + between - alpha_t
    predicted = (alpha_s - alpha_t).expand_as(stays)
    redrawn = (1.0 - between) * (1.0 - alpha_s)
    threshold = uniform * (stays + predicted + redrawn)
    tokens = torch.where(
        threshold < stays + predicted, categorical(probabilities, other), (other * size).long().clamp_max(size - 1)
    )
    return torch.where(threshold < stays, noisy, tokens)
