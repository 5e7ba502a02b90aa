"""Bootstrap intervals of corpus metrics over texts (Efron and Tibshirani 1993, Introduction to the Bootstrap, ch. 13).

Every statistic here is a function of sums over texts: corpus BLEU a function of summed n-gram counts, perplexity of
summed log-probabilities. So each text gives a row of sufficient statistics, a draw is a weighted sum of rows, and any
corpus statistic is resampled exactly without being computed text by text again. Means over texts need no draws
(`benchmarks.stats.intervals`).

Axes: n texts, k statistics per text, m draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import ndtr, stdtrit

from benchmarks.stats.intervals import LEVEL, Array, Interval

__all__ = ["DRAWS", "Array", "Interval", "Statistic", "interval", "jackknife_error", "resampled_counts"]

Statistic = Callable[[Array], Array]
"""Sums of rows, shape (m, k), to one value each, shape (m,)."""

DRAWS = 2000
_CHUNK = 2_000_000  # entries of the resampling matrix held at once: 16 MB


def interval(
    rows: Array, statistic: Statistic, *, seed: int = 0, draws: int = DRAWS, level: float = LEVEL
) -> Interval | None:
    """The bootstrap interval of `statistic` over the choice of texts, which are drawn with replacement.

    Quantiles of the draws, as far out as makes the interval of a mean as wide as Student's t (Hesterberg 2015, What
    Teachers Should Know About the Bootstrap, section 4.3): plain percentiles are too narrow for few texts. The rows
    are sorted first, so the interval does not depend on the order of the texts. None where no draw differs, as of equal
    texts: they say nothing of how others vary.

    Args:
        rows: sufficient statistics of each text, shape (n, k), n >= 2.
        statistic: maps summed rows, shape (m, k), to values, shape (m,).
    """
    assert rows.ndim == 2 and len(rows) >= 2, f"an interval needs two texts or more, not rows of shape {rows.shape}"
    n = len(rows)
    ordered = rows[np.lexsort(rows.T[::-1])]
    values = np.concatenate([statistic(sums) for sums in _resampled_sums(ordered, seed, draws)])  # (m,)
    tail = float(ndtr(-math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 + level) / 2)))
    low, high = np.quantile(values, (tail, 1 - tail))
    return Interval(float(low), float(high), level) if low < high else None


def jackknife_error(left_out: Array) -> float:
    """The standard error of a statistic from its values without each text, shape (n,), n >= 2 (Efron and Tibshirani,
    chapter 11); of a difference of two statistics from the differences of these."""
    n = len(left_out)
    return math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))


def resampled_counts(n: int, draws: int, generator: np.random.Generator) -> Array:
    """How often each of n is in each draw of n with replacement, shape (draws, n)."""
    drawn = generator.integers(0, n, size=(draws, n))
    flat = (drawn + n * np.arange(draws)[:, None]).ravel()
    return np.bincount(flat, minlength=draws * n).reshape(draws, n).astype(float)


def _resampled_sums(rows: Array, seed: int, draws: int) -> Iterator[Array]:
    """Sums of n rows drawn with replacement, `draws` times, in chunks of shape (some, k)."""
    generator = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(rows))
    for start in range(0, draws, step):
        yield resampled_counts(len(rows), min(step, draws - start), generator) @ rows
