"""Samplers of masked diffusion, one plain function each.

All take `predict`, a network call from a noisy canvas to logits over clean tokens, and a canvas that is open where a text is
given and masked elsewhere. None looks at its data: the number of network calls is the number of steps.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.draws import categorical
from baselines.masked_diffusion import Schedule, clean_log_probs, unmasking_share
from cosmos.randomness import Seeds

Predict = Callable[[Tensor], Tensor]
"""Canvas int64 [B, L] -> logits [B, L, V]."""


def ancestral(
    predict: Predict, canvas: Tensor, *, steps: int, schedule: Schedule, mask_id: int, seeds: Seeds
) -> Tensor:
    """The reverse process in `steps` equal steps of t from 1 to 0 (Sahoo et al., 2024, equation 7).

    Each step draws in two stages: which masked positions open, then their tokens. That is the same distribution as one draw
    over tokens and the mask together, without the loss of rare tokens that single-precision Gumbel noise brings
    (Zheng et al., 2024). The last step ends at t = 0 and so opens whatever is left by a draw, not by an argmax.

    Returns:
        The canvas with no mask left, int64 [B, L].
    """
    times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64, device=canvas.device)
    for t, s in zip(times[:-1], times[1:], strict=True):
        probabilities = clean_log_probs(predict(canvas).float(), mask_id).exp()  # [B, L, V]
        tokens = categorical(probabilities, seeds.uniform(canvas.shape[1]))
        opens = seeds.uniform(canvas.shape[1]) < unmasking_share(schedule, t, s)
        canvas = torch.where((canvas == mask_id) & opens, tokens, canvas)
    return canvas


def confidence(predict: Predict, canvas: Tensor, *, steps: int, mask_id: int) -> Tensor:
    """Open the most probable tokens where the network is surest, an even share of the canvas per step.

    The greedy form of the decoding of Chang et al. (MaskGIT, 2022) and Nie et al. (LLaDA, 2025) with one block and
    temperature 0. Not a sample of the model: sharper and less varied. Of equally sure positions the first opens.

    Returns:
        The canvas with no mask left, int64 [B, L]; rows may begin with different numbers of open positions.
    """
    hidden = (canvas == mask_id).sum(1)  # [B]
    for step in range(steps):
        probability, tokens = clean_log_probs(predict(canvas).float(), mask_id).max(-1)  # [B, L]
        masked = canvas == mask_id
        order = probability.masked_fill(~masked, -torch.inf).argsort(dim=1, descending=True, stable=True)
        rank = order.argsort(dim=1)  # [B, L], 0 is the surest
        left = hidden - hidden * (step + 1) // steps  # [B] masked positions after this step
        opens = masked & (rank < (masked.sum(1) - left)[:, None])
        canvas = torch.where(opens, tokens, canvas)
    return canvas
