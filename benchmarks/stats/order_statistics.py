"""Quantiles of a sample with intervals that assume nothing of its distribution. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.95


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share lies, between neighbours by the line; `values` ascend and are not none."""
    place = share * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def quantile_limits(values: Sequence[float], share: float, level: float = LEVEL) -> tuple[float, float] | None:
    """Limits of a quantile: order statistics, so many that each tail of the binomial is at most half of what is left.

    David and Nagaraja, Order Statistics, section 7.1. `values` ascend; None where they are too few.
    """
    n, tail = len(values), (1 - level) / 2
    low, high = _rank(n, share, tail), n + 1 - _rank(n, 1 - share, tail)
    return (values[low - 1], values[high - 1]) if low >= 1 and high <= n else None


def fewest(share: float, level: float = LEVEL) -> int:
    """How many values a quantile's limits take: so many that the chance that all lie on one side of it is small enough.

    `share` is neither 0 nor 1.
    """
    return math.ceil(math.log((1 - level) / 2) / math.log(max(share, 1 - share)) - 1e-9)


def _rank(n: int, share: float, tail: float) -> int:
    """The largest rank of which the chance that fewer than it lie below the quantile is at most `tail`; 0 for none."""
    below, rank = 0.0, 0
    while rank < n:
        below += math.comb(n, rank) * share**rank * (1 - share) ** (n - rank)
        if below > tail:
            break
        rank += 1
    return rank
