"""Draws from a categorical distribution, the same functions for every system.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor


def categorical(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """The token at which the cumulated probability passes `uniform`: the inverse of the distribution function.

    One number in float64 per draw suffices and nothing is truncated, unlike argmax(p / -log u) in single precision,
    which never yields tokens of small probability (Zheng et al., 2024, arXiv:2409.02908).

    Args:
        probabilities: [..., V], not negative; need not sum to one exactly.
        uniform: float64 in (0, 1), [...].

    Returns:
        int64 [...]; a token of probability zero is never returned.
    """
    cumulated = probabilities.double().cumsum(-1)  # [..., V]
    total = cumulated[..., -1:]
    # Rounding could lift the threshold to the total itself, where the answer would be past the last token.
    threshold = torch.minimum(uniform[..., None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulated, threshold, right=True)[..., 0]


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Logits with all but the nucleus at -inf: the fewest most probable tokens whose mass reaches `top_p`.

    The token that crosses `top_p` is kept (the convention of Hugging Face; Holtzman et al., 2020). Among equal
    probabilities the lower id comes first.

    Args:
        logits: [..., V].
        top_p: in (0, 1]; 1 keeps all.
    """
    if top_p >= 1.0:
        return logits
    ordered, order = torch.sort(logits, dim=-1, descending=True, stable=True)  # [..., V]
    mass = ordered.double().softmax(-1)
    outside = mass.cumsum(-1) - mass >= top_p  # the mass before a token already reaches top_p
    return torch.empty_like(ordered).scatter_(-1, order, ordered.masked_fill(outside, -torch.inf))
