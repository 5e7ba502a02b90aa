"""Draws from a categorical distribution, the same functions for every system.

Axis legend: B rows (texts), L positions, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from cosmos.io.errors import UserError
from cosmos.runtime.rng import CounterRNG

GROUP = 256
DRAWN_AHEAD = 1 << 23  # numbers that are made at once, of one step at least


def uniforms_of(seeds: CounterRNG, count: int, *shape: int) -> Iterator[Tensor]:
    """As many draws of uniform numbers as `count`, each float64 [B, *shape], made for as many steps at once as memory
    allows; the numbers are those of draws one by one, between which nothing else may be drawn."""
    ahead = max(1, DRAWN_AHEAD // max(1, len(seeds) * math.prod(shape)))
    for first in range(0, count, ahead):
        yield from seeds.uniforms(min(ahead, count - first), *shape)


def check_top_p(top_p: float) -> None:
    """Raise `UserError` unless a nucleus can have this mass."""
    if not 0 < top_p <= 1:
        raise UserError(f"top_p must lie in (0, 1], not {top_p:g}.")


def categorical(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """The token at which the cumulated probability passes `uniform`: the inverse of the distribution function.

    One number in float64 per draw suffices and nothing is truncated, unlike argmax(p / -log u) in single precision,
    which never yields tokens of small probability (Zheng et al., 2024, arXiv:2409.02908). It is found in two stages,
    first the group of `GROUP` tokens, then the token, so that sums in float64 are over few numbers and not over V.

    Args:
        probabilities: [..., V], not negative; need not sum to one exactly.
        uniform: float64 in (0, 1), [...].

    Returns:
        int64 [...]; a token of probability zero is never returned.
    """
    missing = -probabilities.shape[-1] % GROUP
    groups = functional.pad(probabilities, (0, missing)).unflatten(-1, (-1, GROUP))  # [..., G, GROUP]
    masses = groups.sum(-1, dtype=torch.float64)  # [..., G]
    group, rest = _passed(masses, uniform[..., None] * masses.sum(-1, keepdim=True))  # [..., 1]
    within = groups.gather(-2, group[..., None].expand(*group.shape, GROUP))[..., 0, :].double()  # [..., GROUP]
    token, _ = _passed(within, rest)
    return (GROUP * group + token)[..., 0]


def _passed(masses: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """The first place at which cumulated masses [..., K] pass a threshold [..., 1], and what is left of it there."""
    cumulated = masses.cumsum(-1)
    total = cumulated[..., -1:]
    # Rounding could lift the threshold to the total itself, where the answer would be past the last mass.
    threshold = torch.minimum(threshold, torch.nextafter(total, torch.zeros_like(total)))
    place = torch.searchsorted(cumulated, threshold, right=True)
    return place, threshold - (cumulated - masses).gather(-1, place)


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Logits with all but the nucleus at -inf: the fewest most probable tokens whose mass reaches `top_p`.

    The token that crosses `top_p` is kept (the convention of Hugging Face; Holtzman et al., 2020). Among equal
    probabilities the lower id comes first. Logits are [..., V]; a `top_p` of 1 keeps all.
    """
    if top_p >= 1.0:
        return logits
    ordered, order = torch.sort(logits, dim=-1, descending=True, stable=True)  # [..., V]
    mass = ordered.double().softmax(-1)
    outside = mass.cumsum(-1) - mass >= top_p  # the mass before a token already reaches top_p
    return torch.empty_like(ordered).scatter_(-1, order, ordered.masked_fill(outside, -torch.inf))
