"""Is one system better than another on the same texts? Sign flips, paired intervals, smallest visible difference.

The pairing is what gives power: two systems asked the same questions share their difficulty, and only the differences
of their per-text scores are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from benchmarks.stats.intervals import LEVEL, Array, Interval, SeedVariance, difference_limits, with_seeds

ComparisonOutcome = Literal["better", "worse", "cannot tell"]

FLIPS = 10_000
_KEPT_SIGNS = 1 << 25  # random signs kept for the next pair: 32 MB
_PART = 4_000_000  # signs drawn together
_WORD = 4  # signs that numpy makes of one random number; a part begins with a new one
_AT_ONCE = 1 << 17  # signs that are multiplied together, as wide numbers: 1 MB, which the processor keeps near
POWER = 0.8
_EXACT = 16  # up to this many non-zero differences all 2^n sign patterns are tried


@dataclass(frozen=True)
class Comparison:
    """System A against system B on the texts both have a score for.

    Attributes:
        difference: mean of A - B.
        low, high: limits of the interval of the difference; equal to it when there is one text.
        level: of the interval: above 0.95 where it is adjusted for other comparisons.
        p: two-sided p-value that neither is better, adjusted likewise.
        outcome: of A against B, at the 5 % level, taking into account which direction is good.
        n: texts compared.
        differences: of each text, shape (n,).
        seeds: the variance of the difference that is due to training seeds, None where it is not known.
    """

    difference: float
    low: float
    high: float
    level: float
    p: float
    outcome: ComparisonOutcome
    n: int
    differences: Array = field(repr=False, compare=False)
    seeds: SeedVariance | None = None


def compare(
    values_a: Sequence[float | None],
    values_b: Sequence[float | None],
    *,
    direction: Literal["higher", "lower"] = "higher",
    seed: int = 0,
    seeds: SeedVariance | None = None,
) -> Comparison:
    """Compare two systems' scores of the same texts, in the same order; texts without both scores are left out.

    A metric with `direction` "lower" is better where A is below B. Where `seeds` is given, the scores are means over
    training seeds, and interval and p-value are of other texts and other trainings: p is the larger of that of the
    sign flips and that of Student's t over both. For a family of comparisons see `adjusted`.
    """
    assert len(values_a) == len(values_b), f"unlike texts: {len(values_a)} scores against {len(values_b)}"
    pairs = [(a, b) for a, b in zip(values_a, values_b, strict=True) if a is not None and b is not None]
    assert pairs, "no text has a score from both systems"
    [found] = adjusted([unadjusted(np.array([a - b for a, b in pairs]), seed=seed, seeds=seeds)], [1.0], direction)
    return found


def unadjusted(
    differences: Array, *, seed: int = 0, seeds: SeedVariance | None = None, flips: int = FLIPS
) -> Comparison:
    """Paired differences, shape (n,), with their p-value, and neither interval nor outcome yet."""
    p = sign_flip(differences, seed=seed, flips=flips)
    if seeds is not None:
        p = max(p, _over_seeds(differences, seeds))
    difference = math.fsum(differences) / len(differences)
    limits = (difference, difference, LEVEL)
    return Comparison(difference, *limits, p, "cannot tell", len(differences), differences, seeds)


def adjusted(
    comparisons: Sequence[Comparison],
    factors: Sequence[float],
    direction: Literal["higher", "lower"] = "higher",
) -> list[Comparison]:
    """Comparisons as of one family: p times its factor (`families.holm_factors`), the interval at the level that takes
    the same.

    Zero belongs to the interval wherever the test does not refuse it, so none that leaves it out stands beside
    "cannot tell".
    """
    levels = [1 - (1 - LEVEL) / factor for factor in factors]
    found = []
    for comparison, factor, limits in zip(comparisons, factors, _intervals(comparisons, levels), strict=True):
        if comparison.seeds is not None:
            limits = with_seeds(limits, comparison.difference, comparison.seeds)
        p = min(1.0, factor * comparison.p)
        if _kept(p):
            limits = Interval(min(0.0, limits.low), max(0.0, limits.high), limits.level)
        outcome = decide(comparison.difference, p, limits, direction=direction)
        found.append(replace(comparison, low=limits.low, high=limits.high, level=limits.level, p=p, outcome=outcome))
    return found


def _intervals(comparisons: Sequence[Comparison], levels: Sequence[float]) -> list[Interval]:
    """The interval of each over the choice of texts, those over as many texts together; of no width for one text."""
    found = [Interval(c.difference, c.difference, level) for c, level in zip(comparisons, levels, strict=True)]
    for n in {comparison.n for comparison in comparisons} - {1}:
        places = [place for place, comparison in enumerate(comparisons) if comparison.n == n]
        differences = np.stack([comparisons[place].differences for place in places])
        lows, highs = difference_limits(differences, level=np.array([levels[place] for place in places]))
        for place, low, high in zip(places, lows.tolist(), highs.tolist(), strict=True):
            found[place] = Interval(low, high, levels[place])
    return found


def decide(
    difference: float, p: float, limits: Interval, *, direction: Literal["higher", "lower"] = "higher"
) -> ComparisonOutcome:
    """The outcome of a comparison, given its p-value and its interval, both adjusted or neither.

    Both must agree: p at most 0.05, and the interval without zero. So no table shows an interval that crosses zero
    beside a verdict, and tiny samples are left to the exact test.
    """
    if _kept(p) or limits.low <= 0 <= limits.high:
        return "cannot tell"
    return "better" if (difference > 0) == (direction == "higher") else "worse"


def _kept(p: float) -> bool:
    """Whether a test keeps the hypothesis that neither is better."""
    return p > 1 - LEVEL + 1e-12


def _over_seeds(differences: Array, seeds: SeedVariance) -> float:
    """The p-value of Student's t over texts and seeds, with the degrees of freedom of Satterthwaite (1946)."""
    n = len(differences)
    texts = float(np.var(differences, ddof=1)) / n if n > 1 else 0.0
    total = texts + seeds.variance
    if seeds.variance == 0 or total == 0:
        return 0.0  # sign flips alone decide
    freedom = total**2 / (texts**2 / max(1, n - 1) + seeds.variance**2 / seeds.freedom)
    return float(2 * stdtr(freedom, -abs(differences.mean()) / math.sqrt(total)))


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
    hits = sum(_at_least(observed, signs, sizes) for signs in _signs(len(sizes), seed, flips))
    return (1 + hits) / (1 + flips)


def _at_least(observed: float, signs: NDArray[np.int8], sizes: Array) -> int:
    """How many rows of `signs`, shape (some, n), give `sizes` a sum as far from 0 as the observed one."""
    rows, hits = max(1, _AT_ONCE // len(sizes)), 0
    for start in range(0, len(signs), rows):
        hits += int(np.sum(np.abs(signs[start : start + rows].astype(float) @ sizes) >= observed))
    return hits


def _signs(n: int, seed: int, flips: int) -> Iterator[NDArray[np.int8]]:
    """So many draws of n random signs, in parts of shape (some, n): cut from those that are kept, or drawn anew."""
    starts, step = [0], max(1, _PART // n)
    sizes = [min(step, flips - start) for start in range(0, flips, step)]
    for size in sizes:
        starts.append(starts[-1] + -(-size * n // _WORD) * _WORD)
    if starts[-1] > _KEPT_SIGNS:
        generator = np.random.default_rng(seed)
        yield from (_drawn(generator, size * n).reshape(size, n) for size in sizes)
        return
    kept = _kept_signs(seed, 1 << starts[-1].bit_length())
    yield from (kept[start : start + size * n].reshape(size, n) for start, size in zip(starts, sizes, strict=False))


@lru_cache(maxsize=8)
def _kept_signs(seed: int, count: int) -> NDArray[np.int8]:
    """So many signs in a row, the same for every pair of systems, however many texts they differ on: drawing them takes
    longer than all else."""
    return _drawn(np.random.default_rng(seed), count)


def _drawn(generator: np.random.Generator, count: int) -> NDArray[np.int8]:
    signs: NDArray[np.int8] = generator.integers(0, 2, size=count, dtype=np.int8)
    signs *= 2
    signs -= 1
    return signs


def _binomial(n: int, excess: int) -> float:
    """P(|heads - tails| >= excess) in n throws of a fair coin."""
    heads = (n + excess + 1) // 2
    if excess == 0:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(heads, n + 1)) / (1 << n))


def detectable_difference(
    differences: Array,
    *,
    seeds: SeedVariance | None = None,
    tests: int = 1,
    rivals: int = 1,
    power: float = POWER,
) -> float:
    """The smallest true mean difference that as many texts with this spread show with probability `power`.

    (t_{1 - alpha/2} + z_{power}) times the standard error; infinite where there is no spread to go by, which is for one
    text and for differences that are all the same.

    Args:
        seeds: what training seeds add to the variance.
        tests: how many comparisons the level of 5 % is shared by: the first step of Holm's correction.
        rivals: how many must be beaten at once, by this difference each.
    """
    n = len(differences)
    if n < 2 or np.ptp(differences) == 0:
        return math.inf
    texts = float(np.var(differences, ddof=1)) / n
    total, freedom = texts, float(n - 1)
    if seeds is not None and seeds.variance > 0:
        total += seeds.variance
        freedom = total**2 / (texts**2 / (n - 1) + seeds.variance**2 / seeds.freedom)
    refused = float(stdtrit(freedom, 1 - (1 - LEVEL) / (2 * tests)))
    return (refused + _all_above(rivals, power)) * math.sqrt(total)


def _all_above(count: int, power: float) -> float:
    """The z that makes so many normal deviates all exceed -z with probability `power`, z_{power} for one.

    Leads over rivals share the leader's own luck, so they are correlated by a half, as in Dunnett (1955).
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)

    def chance(z: float) -> float:
        return float((weights * ndtr(math.sqrt(2) * z + nodes) ** count).sum() / weights.sum())

    low, high = float(ndtri(power)), float(ndtri(1 - (1 - power) / count)) + 1e-9  # one alone; none shared
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < power else (low, middle)
    return high
