"""What is known of a change between two sides: its estimate, and limits and a p-value at any level.

Three kinds of evidence have one shape, so that a table, a gate and a plan ask them alike: paired scores of the same
texts, corpus scores of documents resampled on both sides together, and ratios of durations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri, stdtr, stdtrit

from benchmarks.stats.bootstrap import DRAWS, resampled_counts
from benchmarks.stats.intervals import LEVEL, Array, Interval, SeedVariance, difference_limits, with_seeds
from benchmarks.stats.paired import FLIPS, POWER, detectable_difference, unadjusted

_FEWEST_BEYOND = 10  # draws that must lie beyond a limit, or the bootstrap cannot say where it is
_CHUNK = 256  # draws that are summed together


class ChangeEvidence(Protocol):
    """What is known of a change, on the scale on which it is none at `null`."""

    @property
    def change(self) -> float:
        """The estimate."""
        ...

    @property
    def null(self) -> float:
        """The change that is none: 0 of a difference, 1 of a ratio."""
        ...

    @property
    def p(self) -> float:
        """Two-sided, that there is no change; not adjusted."""
        ...

    def interval(self, level: float = LEVEL) -> Interval | None:
        """Limits of the change; None where nothing is known of its spread."""
        ...

    def detectable(self, tests: float = 1.0, power: float = POWER) -> float | None:
        """The smallest true change that is shown with this power, of as many tests; None where nothing is known."""
        ...


@dataclass(frozen=True)
class TextEvidence:
    """Differences B - A of the scores of the same texts, shape (n,), n >= 1.

    Limits are those of the paired bootstrap and those in closed form (`intervals.difference_limits`) together: the
    first knows of skewed differences, the second of rare ones, of few texts, and of levels that draws do not reach.
    """

    differences: Array = field(repr=False, compare=False)
    seeds: SeedVariance | None = None
    flips: int = FLIPS

    @cached_property
    def change(self) -> float:
        return math.fsum(self.differences) / len(self.differences)

    @property
    def null(self) -> float:
        return 0.0

    @cached_property
    def p(self) -> float:
        return unadjusted(self.differences, seeds=self.seeds, flips=self.flips).p

    def interval(self, level: float = LEVEL) -> Interval | None:
        if len(self.differences) < 2:
            return None
        low, high = (float(limit) for limit in difference_limits(self.differences, level=level))
        drawn = bootstrap_limits(self._draws, len(self.differences), level)
        if drawn is not None:
            low, high = min(low, drawn[0]), max(high, drawn[1])
        limits = Interval(low, high, level)
        return limits if self.seeds is None else with_seeds(limits, self.change, self.seeds)

    def detectable(self, tests: float = 1.0, power: float = POWER) -> float | None:
        found = detectable_difference(self.differences, seeds=self.seeds, tests=max(1, math.ceil(tests)), power=power)
        return found if math.isfinite(found) else self._of_rare_changes(tests, power)

    def _of_rare_changes(self, tests: float, power: float) -> float | None:
        """The detectable difference where no spread is seen: of a change that is 1 (or the largest difference, if that
        is more) in some texts and none in the others. k texts that change alike have a p-value of 2^(1 - k)."""
        n, least = len(self.differences), math.ceil(1 - math.log2((1 - LEVEL) / max(1.0, tests)))
        if n < least or self.seeds is not None:
            return None
        return float(betaincinv(least, n - least + 1, power)) * max(1.0, float(np.abs(self.differences).max()))

    @cached_property
    def _draws(self) -> Array:
        return resampled_means(self.differences)


@dataclass(frozen=True)
class StudentEvidence:
    """An estimate with its variance and degrees of freedom: Student's t, on the scale of differences or of logarithms.

    Attributes:
        mean: the difference B - A, or the logarithm of the ratio B / A.
        variance: of the mean, by resampling documents, or between units of time.
        ratio: whether the change is the exponential of the mean.
        seeds: what training seeds add to the variance.
    """

    mean: float
    variance: float
    freedom: float
    ratio: bool = False
    seeds: SeedVariance | None = None

    @property
    def change(self) -> float:
        return math.exp(self.mean) if self.ratio else self.mean

    @property
    def null(self) -> float:
        return 1.0 if self.ratio else 0.0

    @property
    def _whole(self) -> tuple[float, float]:
        """Variance and degrees of freedom with those of seeds (Satterthwaite 1946)."""
        if self.seeds is None or self.seeds.variance == 0:
            return self.variance, self.freedom
        total = self.variance + self.seeds.variance
        return total, total**2 / (self.variance**2 / self.freedom + self.seeds.variance**2 / self.seeds.freedom)

    @property
    def p(self) -> float:
        variance, freedom = self._whole
        if not variance > 0:
            return 1.0  # nothing is known of the spread
        return float(2 * stdtr(freedom, -abs(self.mean) / math.sqrt(variance)))

    def interval(self, level: float = LEVEL) -> Interval | None:
        variance, freedom = self._whole
        if not variance > 0:
            return None
        margin = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
        low, high = self.mean - margin, self.mean + margin
        return Interval(*((_exp(low), _exp(high)) if self.ratio else (low, high)), level)

    def detectable(self, tests: float = 1.0, power: float = POWER) -> float | None:
        variance, freedom = self._whole
        if not variance > 0:
            return None
        refused = float(stdtrit(freedom, 1 - (1 - LEVEL) / (2 * max(1.0, tests))))
        margin = (refused + float(ndtri(power))) * math.sqrt(variance)
        return _exp(margin) if self.ratio else margin


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))


def resampled_means(values: Array) -> Array:
    """The means of `values`, shape (n,), over `DRAWS` samples with replacement: the same samples for all of one n.

    The values are sorted first, so that the order of texts does not matter.
    """
    counts, ordered = _kept_counts(len(values)), np.sort(values)
    parts = [counts[start : start + _CHUNK].astype(float) @ ordered for start in range(0, len(counts), _CHUNK)]
    return np.concatenate(parts) / len(values)


def bootstrap_limits(draws: Array, n: int, level: float) -> tuple[float, float] | None:
    """Quantiles of bootstrap draws, as far out as makes those of a mean of n as wide as Student's t (Hesterberg 2015,
    section 4.3); None where too few draws lie beyond them."""
    tail = float(ndtr(-math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 + level) / 2)))
    if tail * len(draws) < _FEWEST_BEYOND:
        return None
    low, high = np.quantile(draws, (tail, 1 - tail))
    return float(low), float(high)


@lru_cache(maxsize=2)
def _kept_counts(n: int) -> NDArray[np.uint16]:
    generator, step = np.random.default_rng(0), max(1, min(DRAWS, 2_000_000 // n))
    parts = [
        resampled_counts(n, min(step, DRAWS - start), generator).astype(np.uint16) for start in range(0, DRAWS, step)
    ]
    return np.concatenate(parts)
