"""Where a series of measurements changed: significance by permutation, place by least squares, both on normal scores.

The question is asked of a series of points in order: may their order be shuffled (nothing changed), or not? Normal
scores of their ranks stand for the values (van der Waerden), so that an outlier is one odd point and no more, and a
speed and its logarithm get the same answer. The statistic is the largest standardised difference of one stretch of
points from all others: a stretch up to the end is a step, another is a time that came and went (Olshen and others
2004, circular binary segmentation). Its distribution under shuffling is exact, ties included, and accounts for the
search. Where a change is found, the parts before and after it are asked in turn, each at its share of the level, as in
E-divisive (Matteson and James 2014, section 3).

The set of places at the stated confidence is that of all places which a test does not refuse: if the change is at a
place, the points on either side of it may be shuffled among themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.stats.intervals import LEVEL, Array

FEWEST = 8  # points of a series; of fewer, no order is rarer than one in twenty
STRETCH = 2  # fewest points of a stretch: one alone is an outlier
PASSING_FROM = 16  # points from which on a stretch that came and went is looked for; it costs short series power
PASSING = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)  # points of such stretches; the ends of a longer one are seen as steps
SCREENED, SHUFFLES = 199, 1999  # shuffles of a first look, and of a second where the first does not settle it
SETTLED = 0.2  # p-values above this need no second look
_PLACE_SHUFFLES = 199
_REFUSED_IN_A_ROW = 5  # places that are refused one after another before no further ones are tried
_AT_ONCE = 1 << 21  # numbers of a batch of shuffles


@dataclass(frozen=True)
class Change:
    """A change of a series between two of its points.

    Attributes:
        index: of the first point after it.
        first, last: the least and the greatest index that may be it instead, at the level of `LEVEL`.
        p: that the order means nothing, adjusted for the search, for the other parts and for other series.
        before, after: means of the stretches on either side, up to the changes next to it.
        difference, low, high: of the means, with Welch's interval, which does not know of the search; `low` and `high`
            equal the difference where neither stretch varies.
    """

    index: int
    first: int
    last: int
    p: float
    before: float
    after: float
    difference: float
    low: float
    high: float


def unordered_p(values: Array, *, shuffles: int = SHUFFLES, seed: int = 0) -> float:
    """The p-value that the order of a series, shape (n,), means nothing; 1 where it is too short or constant.

    Args:
        shuffles: of the second look, so that no p-value is below 1 / (shuffles + 1); a family of m series wants 20 m.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < FEWEST or np.ptp(values) == 0:
        return 1.0
    ranks = _standard_ranks(values)
    starts, ends = _stretches(len(ranks))

    def largest(series: Array, axis: int) -> Array:
        # Rounded, since the same points in another order may sum to another last digit, and equal is not beyond.
        found: Array = np.round(_standardised(np.moveaxis(series, axis, -1), starts, ends).max(axis=-1), 9)
        return found

    p = 1.0
    for number, count in enumerate((SCREENED, shuffles)):
        # The second look draws anew: a p-value below `SETTLED` is then that of a test that was always going to be made.
        found = stats.permutation_test(
            (ranks,),
            largest,
            permutation_type="pairings",
            vectorized=True,
            n_resamples=count,
            batch=max(1, _AT_ONCE // len(starts)),
            alternative="greater",
            random_state=np.random.default_rng([seed, number]),
        )
        p = float(found.pvalue)
        if p > SETTLED:
            break
    return p


def changes(
    values: Array, p: float, *, level: float = 1 - LEVEL, factor: float = 1.0, shuffles: int = SHUFFLES, seed: int = 0
) -> tuple[Change, ...]:
    """The changes of a series, shape (n,), in order.

    Args:
        p: what `unordered_p` said of it.
        level: chance of any false change, in all parts together.
        factor: by which p-values are multiplied since other series were looked at too.
    """
    values = np.asarray(values, dtype=float)
    found: dict[int, float] = {}
    pending = [(0, len(values), p)] if len(values) >= FEWEST else []
    while pending:
        start, stop, own = pending.pop()
        adjusted = min(1.0, own * factor * len(values) / (stop - start))
        if adjusted > level:
            continue
        [place] = _places(values[start:stop], 1)
        found[start + place] = adjusted
        for part in ((start, start + place), (start + place, stop)):
            pending.append((*part, unordered_p(values[slice(*part)], shuffles=shuffles, seed=seed)))
    kept = _standing(values, sorted(found), level)
    if found and not kept:  # something came and went so soon that one end of it alone is not seen
        found = dict.fromkeys(_places(values, 2), min(1.0, p * factor))
        kept = _standing(values, list(found), level)
    bounds = [0, *kept, len(values)]
    return tuple(
        _described(values, a, place, b, found[place], seed)
        for a, place, b in zip(bounds, kept, bounds[2:], strict=False)
    )


def _standard_ranks(values: Array) -> Array:
    """Normal scores of ranks (van der Waerden), ties at their mean rank, of mean 0 and variance 1."""
    ranks = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values))
    ranks = ranks - ranks.mean()
    standard: Array = ranks / ranks.std()
    return standard


def _stretches(n: int) -> tuple[np.ndarray, np.ndarray]:
    """First and past-the-end index of all stretches that are looked at, in a series of `n` points."""
    pairs = [(start, n) for start in range(STRETCH, n - STRETCH + 1)]
    if n >= PASSING_FROM:
        pairs += [(start, start + size) for size in PASSING for start in range(STRETCH, n - STRETCH - size + 1)]
    starts, ends = np.array(pairs, dtype=np.intp).T
    return starts, ends


def _standardised(ranks: Array, starts: np.ndarray, ends: np.ndarray) -> Array:
    """Squared standardised differences of stretches from all other points, shape (..., stretches).

    Args:
        ranks: shape (..., n), of mean 0 and variance 1 over the whole.
    """
    n = ranks.shape[-1]
    sums = np.zeros((*ranks.shape[:-1], n + 1))
    np.cumsum(ranks, axis=-1, out=sums[..., 1:])
    size = ends - starts
    gain: Array = (sums[..., ends] - sums[..., starts]) ** 2 * (n / (size * (n - size)))
    return gain


def _places(values: Array, count: int) -> list[int]:
    """The `count` places between which, and outside of which, ranks vary least."""
    import ruptures

    search = ruptures.KernelCPD(kernel="linear", min_size=STRETCH).fit(_standard_ranks(values)[:, None])
    return [int(place) for place in search.predict(n_bkps=count)[:-1]]


def _standing(values: Array, places: list[int], level: float) -> list[int]:
    """Those of the places at which the stretches on either side still differ, the weakest taken out one by one."""
    kept = list(places)
    while kept:
        bounds = [0, *kept, len(values)]
        p_values = [
            float(stats.mannwhitneyu(values[a:place], values[place:b]).pvalue)
            for a, place, b in zip(bounds, kept, bounds[2:], strict=False)
        ]
        weakest = int(np.argmax(p_values))
        if p_values[weakest] <= level:
            break
        del kept[weakest]
    return kept


def _described(values: Array, start: int, place: int, stop: int, p: float, seed: int) -> Change:
    before, after = values[start:place], values[place:stop]
    difference = float(after.mean() - before.mean())
    low = high = difference
    if np.ptp(before) > 0 or np.ptp(after) > 0:
        limits = stats.ttest_ind(after, before, equal_var=False).confidence_interval(LEVEL)
        low, high = float(limits.low), float(limits.high)
    possible = list(_possible(values[start:stop], place - start, seed))
    return Change(
        place, start + min(possible), start + max(possible), p,
        float(before.mean()), float(after.mean()), difference, low, high,
    )  # fmt: skip


def _possible(values: Array, place: int, seed: int) -> Iterator[int]:
    """The places that a test at the level 1 - LEVEL does not refuse, outwards from the best one."""
    yield place
    ranks = _standard_ranks(values)
    for step in (-1, 1):
        refused, tried = 0, place + step
        while refused < _REFUSED_IN_A_ROW and STRETCH <= tried <= len(ranks) - STRETCH:
            if _place_p(ranks, tried, seed) > 1 - LEVEL:
                refused = 0
                yield tried
            else:
                refused += 1
            tried += step


def _place_p(ranks: Array, place: int, seed: int) -> float:
    """The p-value that the one change of a series is at `place`: how much better the best place fits than this one."""
    n = len(ranks)
    starts = np.arange(STRETCH, n - STRETCH + 1)
    rng = np.random.default_rng([seed, place])
    rows = np.broadcast_to(ranks, (_PLACE_SHUFFLES, n))
    shuffled = np.concatenate([rng.permuted(rows[:, :place], axis=1), rng.permuted(rows[:, place:], axis=1)], axis=1)
    gains = _standardised(np.concatenate([ranks[None], shuffled]), starts, np.full_like(starts, n))
    beyond = gains.max(axis=1) - gains[:, place - STRETCH]
    return float((1 + np.sum(beyond[1:] >= beyond[0] - 1e-9)) / (_PLACE_SHUFFLES + 1))
