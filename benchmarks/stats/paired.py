"""Is one system better than another on the same texts? Paired bootstrap, sign flips, smallest visible difference.

The pairing is what gives power: two systems asked the same questions share their difficulty, and only the differences
of their per-text scores are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.stats.bootstrap import DRAWS, LEVEL, Array, Interval, mean_interval

Outcome = Literal["better", "worse", "cannot tell"]

FLIPS = 10_000
_KEPT_SIGNS = 32_000_000  # random signs kept for the next pair: 32 MB
_EXACT = 16  # up to this many non-zero differences all 2^n sign patterns are tried


@dataclass(frozen=True)
class Comparison:
    """System A against system B on the texts both have a score for.

    Attributes:
        difference: mean of A - B.
        low, high: limits of the paired bootstrap interval of the difference; equal to it when there is one text.
        p: two-sided p-value of the sign-flip test that neither is better, not corrected for other comparisons.
        outcome: of A against B, at 1 - `level`, taking into account which direction is good.
        n: texts compared.
        detectable: smallest difference that this many texts would show four times in five; infinite where that cannot
            be told.
    """

    difference: float
    low: float
    high: float
    level: float
    p: float
    outcome: Outcome
    n: int
    detectable: float


def compare(
    values_a: Sequence[float | None],
    values_b: Sequence[float | None],
    *,
    direction: Literal["higher", "lower"] = "higher",
    seed: int = 0,
    level: float = LEVEL,
) -> Comparison:
    """Compare two systems' scores of the same texts, in the same order; texts without both scores are left out.

    A metric with `direction` "lower" is better where A is below B. For a family of comparisons correct the p-values
    (`benchmarks.stats.families`) and ask `decide` again.
    """
    assert len(values_a) == len(values_b), f"unlike texts: {len(values_a)} scores against {len(values_b)}"
    pairs = [(a, b) for a, b in zip(values_a, values_b, strict=True) if a is not None and b is not None]
    assert pairs, "no text has a score from both systems"
    differences = np.array([a - b for a, b in pairs])  # (n,)
    difference = math.fsum(differences) / len(differences)
    limits = paired_interval(differences, seed=seed, level=level)
    p = sign_flip(differences, seed=seed)
    return Comparison(
        difference=difference,
        low=limits.low,
        high=limits.high,
        level=level,
        p=p,
        outcome=decide(difference, p, limits, direction=direction),
        n=len(differences),
        detectable=detectable_difference(differences, alpha=1 - level),
    )


def decide(
    difference: float, p: float, limits: Interval, *, direction: Literal["higher", "lower"] = "higher"
) -> Outcome:
    """The outcome of a comparison, given its p-value (perhaps corrected) and its interval.

    Both must agree: p at most 1 - level, and the interval without zero. So no table shows an interval that crosses
    zero beside a verdict, and tiny samples, on which a bootstrap is too sure of itself, are left to the exact test.
    """
    if p > 1 - limits.level + 1e-12 or limits.low <= 0 <= limits.high:
        return "cannot tell"
    return "better" if (difference > 0) == (direction == "higher") else "worse"


def paired_interval(differences: Array, *, seed: int = 0, draws: int = DRAWS, level: float = LEVEL) -> Interval:
    """The percentile bootstrap interval of the mean difference, shape (n,); of no width when there is one text."""
    if len(differences) < 2:
        return Interval(float(differences[0]), float(differences[0]), level)
    return mean_interval(differences, seed=seed, draws=draws, level=level)


def sign_flip(differences: Array, *, seed: int = 0, flips: int = FLIPS) -> float:
    """The two-sided p-value of the sign-flip permutation test (Fisher 1935) of paired differences, shape (n,).

    Under the null hypothesis that the systems are alike, each difference is as likely to have the other sign. Exact for
    up to 16 non-zero differences, and for any number where all have the same size (0/1 scores: the binomial test of
    McNemar); otherwise (1 + hits) / (1 + flips) over seeded random signs (Phipson and Smyth 2010), never zero.
    """
    sizes = np.abs(differences[differences != 0])
    if len(sizes) == 0:
        return 1.0
    observed = abs(math.fsum(differences)) - 1e-9 * float(sizes.max())  # sums that are equal but for rounding are equal
    if np.ptp(sizes) <= 1e-12 * sizes[0]:
        return _binomial(len(sizes), round(abs(math.fsum(differences)) / float(sizes[0])))
    if len(sizes) <= _EXACT:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums + size, sums - size])  # every sign pattern so far, twice
        return float(np.mean(np.abs(sums) >= observed))
    sizes = np.sort(sizes)  # so that the order of the texts does not matter
    hits = sum(int(np.sum(np.abs(signs @ sizes) >= observed)) for signs in _signs(len(sizes), seed, flips))
    return (1 + hits) / (1 + flips)


def _signs(n: int, seed: int, flips: int) -> Iterable[NDArray[np.int8]]:
    """So many draws of n random signs, in parts of shape (some, n)."""
    return _kept_signs(n, seed, flips) if n * flips <= _KEPT_SIGNS else _drawn_signs(n, seed, flips)


@lru_cache(maxsize=2)
def _kept_signs(n: int, seed: int, flips: int) -> tuple[NDArray[np.int8], ...]:
    """The same for every pair of systems that have as many unlike texts: drawing them takes longer than all else."""
    return tuple(_drawn_signs(n, seed, flips))


def _drawn_signs(n: int, seed: int, flips: int) -> Iterator[NDArray[np.int8]]:
    generator, step = np.random.default_rng(seed), max(1, 4_000_000 // n)
    for start in range(0, flips, step):
        yield generator.integers(0, 2, size=(min(step, flips - start), n), dtype=np.int8) * 2 - 1


def _binomial(n: int, excess: int) -> float:
    """P(|heads - tails| >= excess) in n throws of a fair coin."""
    heads = (n + excess + 1) // 2
    if excess == 0:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(heads, n + 1)) / (1 << n))


def detectable_difference(differences: Array, *, alpha: float = 1 - LEVEL, power: float = 0.8) -> float:
    """The smallest true mean difference that as many texts with this spread show with probability `power`.

    (z_{1-alpha/2} + z_{power}) * sd / sqrt(n), the normal approximation; infinite where there is no spread to go by,
    which is for one text and for differences that are all the same.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) == 0:
        return math.inf
    normal = NormalDist()
    factor = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return factor * float(np.std(differences, ddof=1)) / math.sqrt(n)
