"""Intervals in closed form: of means of scores, of paired differences, of ratios, and with training seeds in them.

A percentile bootstrap covers too little where it matters: at 200 texts and a share of 0.99 it holds the truth in nine
of ten cases, and where all texts score alike it has no width. What is here instead keeps its promise from 30 texts
on for the kinds of which `tests/exact/test_coverage.py` has the table: shares, skewed values, rare events above 0, and
rare zeros far from all else, such as two blank texts in a hundred among similarities near 0.9. Of these, a sample that
has none knows nothing, and no interval from it can hold the truth: of 50, 100 and 200 such texts, .36, .13 and .02 of
the samples are like that. Those that have one hold it in at least .95 of cases.

Axes: n texts, s seeds; leading axes, where there are any, are samples of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri, stdtrit

Array = NDArray[np.float64]

LEVEL = 0.95
FEWEST = 30
"""Fewer texts than this say too little of a corpus metric, which has no value per text, for an interval."""
_NONE = 1e-24  # what a variance of equal values may come out as
_NORMAL = 1e6  # from so many hits and misses on, the beta distribution is the normal one to all digits that are kept


@dataclass(frozen=True)
class Interval:
    """Limits that hold the true value with probability `level`; over the choice of what, the function says."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class SeedVariance:
    """The variance of a mean over training seeds that is due to the seeds, and its degrees of freedom."""

    variance: float
    freedom: float

    def __add__(self, other: SeedVariance) -> SeedVariance:
        """Of the difference of two means (Welch 1947)."""
        total = self.variance + other.variance
        parts = self.variance**2 / self.freedom + other.variance**2 / other.freedom
        return SeedVariance(total, total**2 / parts if parts > 0 else min(self.freedom, other.freedom))


def mean_interval(values: Sequence[float] | Array, *, level: float = LEVEL) -> Interval | None:
    """The interval of the mean of `values`, shape (n,), n >= 2, over the choice of texts; see `mean_limits`."""
    low, high = mean_limits(np.asarray(values, dtype=float), level=level)
    return None if np.isnan(low) else Interval(float(low), float(high), level)


def mean_intervals(samples: Sequence[Sequence[float]]) -> list[Interval | None]:
    """`mean_interval` of each of several samples, None too where one has fewer than two values: those of equal length
    are worked out together."""
    found: list[Interval | None] = [None] * len(samples)
    for n in {len(sample) for sample in samples} - {0, 1}:
        places = [place for place, sample in enumerate(samples) if len(sample) == n]
        lows, highs = mean_limits(np.array([samples[place] for place in places], dtype=float))
        for place, low, high in zip(places, lows.tolist(), highs.tolist(), strict=True):
            found[place] = None if math.isnan(low) else Interval(low, high, LEVEL)
    return found


def mean_limits(values: Array, *, level: float = LEVEL) -> tuple[Array, Array]:
    """Limits of the mean over the last axis, shape (..., n) to two of shape (...); n >= 2.

    Values 0 and 1 have the interval of Clopper and Pearson (1934). Other values from 0 to 1 have the same with the
    effective number of texts of Korn and Graubard (1998), that at which the variance of a share is that of the mean;
    but where some are 0, and at most half, the mean is the share of the others times their mean, see `_filled_limits`.
    Values above 1 are measured in units of the largest. So limits are skewed as rare events are, and stay within the
    range of the score. Values below 0 have Student's t.

    Where all values are equal and neither 0 nor 1, nothing is known of their spread, and the limits are NaN.
    """
    assert values.shape[-1] >= 2, f"an interval needs two texts or more, not values of shape {values.shape}"
    unit = np.maximum(1.0, values.max(axis=-1))
    shares = np.maximum(values, 0.0) / unit[..., None]
    low, high = _share_limits(shares, level)
    zeros = (shares == 0).sum(axis=-1)
    filled = (zeros > 0) & (2 * zeros <= shares.shape[-1]) & ~_binary(shares)
    if filled.any():
        those = _filled_limits(shares, level)
        low, high = np.where(filled, those[0], low), np.where(filled, those[1], high)
    below, above = _student(values, level)
    signed = values.min(axis=-1) < 0
    constant = (np.ptp(values, axis=-1) <= 1e-12 * unit) & ~_binary(values)
    low, high = np.where(signed, below, low * unit), np.where(signed, above, high * unit)
    return np.where(constant, np.nan, low), np.where(constant, np.nan, high)


def difference_limits(differences: Array, *, level: float | Array = LEVEL) -> tuple[Array, Array]:
    """Limits of the mean of paired differences over the last axis, shape (..., n) to two of shape (...); n >= 2.

    `level` is one, or one for each, shape (...).

    Student's t, but where it cannot be trusted: for differences of 0/1 scores, and where at least half are zero or all
    are equal. There a difference is its positive part less its negative part. Each has the interval of a mean from 0
    to 1 (in units of the largest difference, where that is above 1), and both are put together as estimates that are
    correlated (Zou and Donner 2008, equation 9). So two systems that never differ are still not known to be equal.
    """
    low, high = _student(differences, level)
    sizes = np.abs(differences)
    counted = _binary(sizes) | ((sizes == 0).mean(axis=-1) >= 0.5) | (np.ptp(differences, axis=-1) == 0)
    if counted.any():
        below, above = _gains_less_losses(differences, level)
        low, high = np.where(counted, below, low), np.where(counted, above, high)
    return low, high


def _gains_less_losses(differences: Array, level: float | Array) -> tuple[Array, Array]:
    """Limits of the mean of differences from those of its positive and of its negative parts."""
    unit = np.maximum(1.0, np.abs(differences).max(axis=-1))
    shares = differences / unit[..., None]
    gains, losses = np.maximum(shares, 0.0), np.maximum(-shares, 0.0)  # (..., n), never both
    gain, loss = gains.mean(axis=-1), losses.mean(axis=-1)
    (gain_low, gain_high), (loss_low, loss_high) = _share_limits(gains, level), _share_limits(losses, level)
    spread = gains.std(axis=-1) * losses.std(axis=-1)
    together = np.divide(gain * loss, spread, out=np.zeros_like(spread), where=spread > 0)  # minus their correlation
    down, up = gain - gain_low, gain_high - gain
    other_down, other_up = loss - loss_low, loss_high - loss
    low = gain - loss - np.sqrt(down**2 + other_up**2 + 2 * together * down * other_up)
    high = gain - loss + np.sqrt(up**2 + other_down**2 + 2 * together * up * other_down)
    return np.maximum(low, -1.0) * unit, np.minimum(high, 1.0) * unit


def ratio_interval(
    numerators: Sequence[float] | Array, denominators: Sequence[float] | Array, *, level: float = LEVEL
) -> Interval:
    """The interval of sum(numerators) / sum(denominators), both of shape (n,) and positive, n >= 2, over their choice.

    Student's t of the ratio's logarithm, by its linear approximation (Cochran 1977, Sampling Techniques, section 6.3);
    right for few and for many, where a bootstrap of three durations covers half of what it says.
    """
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    assert len(above) >= 2, "an interval needs two or more"
    n, ratio = len(above), math.fsum(above) / math.fsum(below)
    error = math.sqrt(float(((above - ratio * below) ** 2).sum()) * n / (n - 1)) / math.fsum(above)
    margin = float(stdtrit(n - 1, (1 + level) / 2)) * error
    return Interval(ratio * math.exp(-margin), ratio * math.exp(margin), level)


def seed_variance(scores: Array) -> SeedVariance:
    """What training seeds alone add to the variance of the mean of `scores`, shape (s, n), s and n >= 2.

    The variance between the means of seeds, less what texts that each seed writes otherwise make of it: the variance
    component of seeds in a layout of seeds and texts (Searle, Casella and McCulloch 1992, section 4.3), over s.
    """
    s, n = scores.shape
    of_seeds, of_texts = scores.mean(axis=1), scores.mean(axis=0)
    left = scores - of_seeds[:, None] - of_texts[None, :] + scores.mean()  # (s, n)
    between = float(np.var(of_seeds, ddof=1)) / s
    within = float((left**2).sum()) / ((s - 1) * (n - 1) * n * s)
    variance = between - within
    return SeedVariance(variance if variance > 1e-15 * float(np.abs(scores).max()) ** 2 else 0.0, s - 1)


def over_seeds(values: Sequence[float], by_seed: Sequence[Mapping[str, float]]) -> SeedVariance:
    """What seeds add to the variance of the mean of their values, from the scores of each text by seed. Of a corpus
    metric, which has none, nobody knows how much of their spread is that of texts, so all of it counts."""
    shared = sorted(set.intersection(*(set(scores) for scores in by_seed))) if by_seed else []
    if len(shared) > 1:
        return seed_variance(np.array([[scores[key] for key in shared] for scores in by_seed]))
    return SeedVariance(float(np.var(values, ddof=1)) / len(values), len(values) - 1)


def with_seeds(texts: Interval, value: float, seeds: SeedVariance, *, share: bool = False) -> Interval:
    """The interval of `value` over texts and seeds, from that over texts; a `share` stays within 0 and 1.

    Each limit is as far from the value as the root of both squared distances (Zou and Donner 2008), that of seeds by
    Student's t. Drawing seeds with replacement covers too little: of three it makes the variance a third too small,
    and no draw lies beyond the outermost (of ten trainings that differ as much, it held the truth in eight).
    """
    margin = float(stdtrit(seeds.freedom, (1 + texts.level) / 2)) * math.sqrt(seeds.variance)
    low, high = value - math.hypot(value - texts.low, margin), value + math.hypot(texts.high - value, margin)
    return Interval(max(0.0, low), min(1.0, high), texts.level) if share else Interval(low, high, texts.level)


def _share_limits(shares: Array, level: float | Array) -> tuple[Array, Array]:
    """Limits of the means of values from 0 to 1; equal values count as a share of so many texts."""
    n = shares.shape[-1]
    mean, variance = shares.mean(axis=-1), shares.var(axis=-1, ddof=1) / n
    return _korn_graubard(np.full_like(mean, n), mean, variance, level, spread=~_binary(shares) & (variance > _NONE))


def _korn_graubard(
    n: Array, mean: Array, variance: Array, level: float | Array, *, spread: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Limits of means, which have `variance`, of n values from 0 to 1 each; all arguments have one shape. Where they
    have no `spread`, the n values count as so many right and wrong answers."""
    tail = (1 - np.asarray(level)) / 2
    wider = stdtrit(n - 1, 1 - tail)  # Student's t than the normal
    effective = np.divide((ndtri(1 - tail) / wider) ** 2 * mean * (1 - mean), variance, out=np.array(n), where=spread)
    hits, misses = effective * mean, effective * (1 - mean)
    normal = np.minimum(hits, misses) > _NORMAL
    margin = wider * np.sqrt(variance)
    hits, misses = np.where(normal, 1.0, hits), np.where(normal, 1.0, misses)
    low = np.where(hits > 0, betaincinv(np.where(hits > 0, hits, 1.0), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.where(misses > 0, misses, 1.0), 1 - tail), 1.0)
    return np.where(normal, mean - margin, low), np.where(normal, mean + margin, high)


def _filled_limits(shares: Array, level: float) -> tuple[Array, Array]:
    """Limits of the means of values from 0 to 1, at least two of them above 0: the share of those above 0, with the
    interval of Clopper and Pearson, times their mean. Both are put together as the logarithms of estimates that do not
    depend on each other (Zou and Donner 2008).

    The mean of those above 0, in units of the largest, has of each limit the higher one of Korn and Graubard's and
    Student's t: of values that crowd near 0 the second holds too little, of few values that crowd near 1, beside a zero
    that came by chance, the first does.
    """
    there = shares > 0
    n, filled = shares.shape[-1], np.maximum(there.sum(axis=-1), 2.0)
    misses, tail = n - filled, (1 - level) / 2
    share = filled / n
    least = betaincinv(filled, misses + 1, tail)
    most = np.where(misses > 0, betaincinv(filled + 1, np.maximum(misses, 1), 1 - tail), 1.0)
    mean = np.maximum(shares.sum(axis=-1) / filled, 1e-300)
    squares = np.where(there, (shares - mean[..., None]) ** 2, 0.0).sum(axis=-1)
    variance = squares / (filled - 1) / filled
    margin, spread = stdtrit(filled - 1, 1 - tail) * np.sqrt(variance), variance > _NONE
    largest = np.maximum(shares.max(axis=-1), 1e-100)
    below, above = _korn_graubard(filled, mean / largest, variance / largest**2, level, spread=spread)
    low = np.where(spread, np.maximum(below * largest, mean - margin), mean)
    high = np.where(spread, np.maximum(above * largest, mean + margin), mean)
    down = np.hypot(np.log(share / least), np.log(mean / np.maximum(low, 1e-300)))
    up = np.hypot(np.log(most / share), np.log(high / mean))
    return share * mean * np.exp(-down), np.minimum(share * mean * np.exp(up), 1.0)


def _student(values: Array, level: float | Array) -> tuple[Array, Array]:
    """Limits of means by Student's t."""
    n, mean = values.shape[-1], values.mean(axis=-1)
    margin = stdtrit(n - 1, (1 + np.asarray(level)) / 2) * values.std(axis=-1, ddof=1) / math.sqrt(n)
    return mean - margin, mean + margin


def _binary(values: Array) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ((values == 0) | (values == 1)).all(axis=-1)
    return found
