"""Speed at equal quality and quality at equal time, read off a curve of settings by interpolation, never beyond it.

A curve is a system at several values of one knob, such as its number of steps: a time and a quality each. What counts
of it is what it can reach: points that another of its points beats in both are passed over, and between two neighbours
of the others quality is linear in the logarithm of time. So quality never falls with time along a curve, and either of
the two has one answer.

Axes: m draws (of texts, trainings and timed calls; the first may be what was measured), k points of a curve. Times are
positive; of qualities higher is better (negate what is the other way round).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, stdtrit

from benchmarks.stats.intervals import LEVEL, Array, Interval

OUTSIDE = 0.05  # the largest share of draws that may fall beyond the ends of a curve where there is an interval


def quality_at(time: Array, times: Array, qualities: Array) -> Array:
    """The quality that a curve reaches within a time: shapes (m,), (m, k) and (m, k) to (m,).

    NaN before the fastest point and after the slowest one. After the last point that counts, but before the slowest
    one, more time was seen to bring nothing, and the best quality stands.
    """
    _check(time, times, qualities)
    at = time[:, None]
    within = times <= at
    left = np.where(within, qualities, -np.inf).max(axis=1)  # (m,)
    since = np.where(within & (qualities == left[:, None]), times, np.inf).min(axis=1)
    later = np.where(~within & (qualities > left[:, None]), times, np.inf)
    until = later.min(axis=1)
    right = np.where(later == until[:, None], qualities, -np.inf).max(axis=1)
    inside = np.isfinite(left) & (time <= times.max(axis=1))
    between = inside & np.isfinite(until)
    share = _share(np.log(time), since, until, between)
    rise = np.subtract(right, left, out=np.zeros_like(left), where=between)
    return np.where(inside, left + share * rise, np.nan)


def time_at(quality: Array, times: Array, qualities: Array) -> Array:
    """The time in which a curve reaches a quality: shapes (m,), (m, k) and (m, k) to (m,).

    NaN where none of its points is as good, and where its fastest that counts is better already.
    """
    _check(quality, times, qualities)
    enough = qualities >= quality[:, None]
    until = np.where(enough, times, np.inf).min(axis=1)  # (m,)
    right = np.where(enough & (times == until[:, None]), qualities, -np.inf).max(axis=1)
    before = times < until[:, None]
    left = np.where(before, qualities, -np.inf).max(axis=1)
    since = np.where(before & (qualities == left[:, None]), times, np.inf).min(axis=1)
    reached = np.isfinite(until)
    between = reached & np.isfinite(left)
    rise = np.subtract(right, left, out=np.ones_like(left), where=between)
    share = np.divide(quality - left, rise, out=np.ones_like(left), where=between)
    grown = np.log(until, out=np.zeros_like(until), where=between) - np.log(
        since, out=np.zeros_like(since), where=between
    )
    found = np.where(between, since, 1.0) * np.exp(share * grown)
    exact = reached & ~between & (right == quality)
    return np.where(between, found, np.where(exact, until, np.nan))


def limits(draws: Array, n: int, *, level: float = LEVEL) -> Interval | None:
    """The interval of a quantity from draws of it, shape (m,): quantiles, as far out as `n` observations need
    (`benchmarks.stats.bootstrap.interval`). None below two of these, and where more than `OUTSIDE` of the draws fall
    beyond the ends of the curve, which are NaN: there the ends decide, and what lies beyond them is not known.
    """
    inside = draws[np.isfinite(draws)]
    if n < 2 or len(inside) < (1 - OUTSIDE) * len(draws):
        return None
    tail = float(ndtr(-math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 + level) / 2)))
    low, high = np.quantile(inside, (tail, 1 - tail))
    return Interval(float(low), float(high), level)


def _check(given: Array, times: Array, qualities: Array) -> None:
    assert times.shape == qualities.shape == (len(given), times.shape[1]), "one time and quality per draw and point"
    assert times.shape[1] >= 1 and (times > 0).all(), "a curve has points, and each takes time"


def _share(log_time: Array, since: Array, until: Array, between: np.ndarray) -> Array:
    """How far a time is from one point to the next, in logarithms; 0 where there is no next."""
    begin = np.log(since, out=np.zeros_like(since), where=between)
    end = np.log(until, out=np.ones_like(until), where=between)
    return np.where(between, (log_time - begin) / (end - begin), 0.0)
