"""Bootstrap intervals over texts (Efron and Tibshirani, An Introduction to the Bootstrap, chapters 13 and 14).

Every statistic here is a function of sums over texts: a mean is sum / count, corpus BLEU a function of summed n-gram
counts. So each text gives a row of sufficient statistics, a draw is a weighted sum of rows, and any corpus statistic
is resampled exactly without being computed text by text again.

Axes: n texts, k statistics per text, m draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Sums of rows, shape (m, k), to one value each, shape (m,)."""

DRAWS = 2000
LEVEL = 0.95
_CHUNK = 2_000_000  # entries of the resampling matrix held at once: 16 MB


@dataclass(frozen=True)
class Interval:
    """Limits that hold the true value with probability `level`, over the choice of texts and nothing else."""

    low: float
    high: float
    level: float


def interval(
    rows: Array,
    statistic: Statistic,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
    method: Literal["percentile", "bca"] = "percentile",
) -> Interval:
    """The bootstrap interval of `statistic`, resampling texts with replacement.

    The rows are sorted first, so the interval does not depend on the order of the texts. Where all rows are equal the
    interval has no width: a bootstrap cannot see what the sample does not hold.

    Args:
        rows: sufficient statistics of each text, shape (n, k), n >= 2.
        statistic: maps summed rows, shape (m, k), to values, shape (m,).
        method: "percentile", or "bca" (bias-corrected and accelerated), better for skewed values and few texts.
    """
    assert rows.ndim == 2 and len(rows) >= 2, f"an interval needs two texts or more, not rows of shape {rows.shape}"
    ordered = rows[np.lexsort(rows.T[::-1])]
    values = np.concatenate([statistic(sums) for sums in _resampled_sums(ordered, seed, draws)])  # (m,)
    tail = (1 - level) / 2
    shares = (tail, 1 - tail) if method == "percentile" else _bca_shares(ordered, statistic, values, tail)
    low, high = np.quantile(values, shares)
    return Interval(float(low), float(high), level)


def mean_interval(
    values: Sequence[float] | Array,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
    method: Literal["percentile", "bca"] = "percentile",
) -> Interval:
    """The bootstrap interval of the mean of `values`, shape (n,), n >= 2."""
    return ratio_interval(values, np.ones(len(values)), seed=seed, draws=draws, level=level, method=method)


def ratio_interval(
    numerators: Sequence[float] | Array,
    denominators: Sequence[float] | Array,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
    method: Literal["percentile", "bca"] = "percentile",
) -> Interval:
    """The bootstrap interval of sum(numerators) / sum(denominators), both of shape (n,), n >= 2, denominators > 0."""
    rows = np.stack([np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)], axis=1)  # (n, 2)
    return interval(rows, _ratio, seed=seed, draws=draws, level=level, method=method)


def _ratio(sums: Array) -> Array:
    ratio: Array = sums[:, 0] / sums[:, 1]
    return ratio


def _resampled_sums(rows: Array, seed: int, draws: int) -> Iterator[Array]:
    """Sums of n rows drawn with replacement, `draws` times, in chunks of shape (some, k)."""
    n = len(rows)
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // n)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = generator.integers(0, n, size=(size, n))
        flat = (drawn + n * np.arange(size)[:, None]).ravel()
        counts = np.bincount(flat, minlength=size * n).reshape(size, n)  # how often each text is in each draw
        yield counts @ rows


def _bca_shares(rows: Array, statistic: Statistic, values: Array, tail: float) -> tuple[float, float]:
    """Which quantiles of the draws to take (Efron 1987, equations 2.3 and 6.6, acceleration by the jackknife)."""
    total = rows.sum(axis=0, keepdims=True)  # (1, k)
    observed = float(statistic(total)[0])
    # Draws equal to the observed value count half, which matters for statistics with few distinct values.
    below = float(np.mean(values < observed) + np.mean(values == observed) / 2)
    if not 0 < below < 1 or np.ptp(values) == 0:
        return tail, 1 - tail
    left_out = statistic(total - rows)  # (n,)
    deviations = left_out.mean() - left_out
    spread = float((deviations**2).sum())
    acceleration = float((deviations**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    normal = NormalDist()
    bias = normal.inv_cdf(below)

    def share(probability: float) -> float:
        z = bias + normal.inv_cdf(probability)
        return normal.cdf(bias + z / (1 - acceleration * z))

    return share(tail), share(1 - tail)
