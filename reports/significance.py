"""Which entry of a column is best, and whether that can be told.

Per-text scores are compared text by text (paired sign-flip test and interval, `benchmarks.stats.paired`), every pair
of trained entries in a column, with Holm's correction over all of that column's pairs, of p-values and of intervals. So
picking the best afterwards needs no further correction. Where both entries have several seeds, the test is over texts
and seeds. Quantities without values per text (corpus metrics, speed) get a mark only where intervals
are disjoint. Scores are marked within a track: who uses weights learnt elsewhere is ranked with its like, and so are
texts from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

import numpy as np

from benchmarks.records.schema import Direction
from benchmarks.stats import (
    Comparison,
    SeedVariance,
    adjusted,
    detectable_difference,
    holm_factors,
    over_seeds,
    unadjusted,
)
from reports.columns import EntryScore, ScoreColumn
from reports.panels import TRACKS, Entry
from reports.quantities import Quantity

Mark = Literal["", "best", "level"]


@dataclass(frozen=True)
class Pair:
    """Entry `a` against entry `b` on the texts both have, corrected for the family of `tests` the pair belongs to.

    Limits are at the level that leaves the family 5 % as `p` does, of which `comparison` says it.
    """

    a: str
    b: str
    difference: float  # a - b
    low: float
    high: float
    p: float  # after Holm
    outcome: Literal["better", "worse", "cannot tell"]  # of a
    n: int
    tests: int
    comparison: Comparison = field(repr=False, compare=False)

    def detectable(self, rivals: int = 1) -> float:
        """The smallest lead, over so many rivals at once, that is shown four times in five in this family."""
        found = self.comparison
        return detectable_difference(found.differences, seeds=found.seeds, tests=self.tests, rivals=rivals)

    def reversed(self) -> Pair:
        turned: dict[str, Literal["better", "worse", "cannot tell"]] = {"better": "worse", "worse": "better"}
        return replace(
            self,
            a=self.b,
            b=self.a,
            difference=-self.difference,
            low=-self.high,
            high=-self.low,
            outcome=turned.get(self.outcome, "cannot tell"),
        )


@dataclass(frozen=True)
class ColumnMarks:
    """The marks of one column, and the tests behind them."""

    marks: Mapping[str, Mark] = field(default_factory=dict)  # by entry
    pairs: tuple[Pair, ...] = ()

    def pair(self, a: str, b: str) -> Pair | None:
        """The comparison of two entries, seen from `a`."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
            if (pair.a, pair.b) == (b, a):
                return pair.reversed()
        return None


def judge(column: ScoreColumn, entries: Sequence[Entry]) -> ColumnMarks:
    """The marks of a score column, by track, and its tests, of all pairs.

    `entries` are the trained ones; those without a score are left out.
    """
    if column.direction == "none":
        return ColumnMarks()
    scores = {e.key: column.scores[e.key] for e in entries if e.key in column.scores}
    valued = {key: score.quantity for key, score in scores.items() if score.quantity.value is not None}
    if len(valued) < 2:
        return ColumnMarks()
    per_text = all(scores[key].per_text for key in valued)
    tests = ColumnMarks(pairs=compare_pairs(column, list(combinations(valued, 2))) if per_text else ())
    marks: dict[str, Mark] = {}
    for title in TRACKS:
        track = {e.key: valued[e.key] for e in entries if e.track == title and e.key in valued}
        if len(track) > 1:
            marks |= _marked(tests, track, column.direction) if per_text else mark_disjoint(track, column.direction)
    return ColumnMarks(marks, tests.pairs)


def _marked(tests: ColumnMarks, track: Mapping[str, Quantity], direction: Direction) -> dict[str, Mark]:
    """The best of a track, and those that cannot be told from it."""
    best = _best(track, direction)
    level = {best}
    for key in track:
        pair = tests.pair(best, key)
        if key != best and (pair is None or pair.outcome != "better"):
            level.add(key)
    return {key: "best" if len(level) == 1 else "level" for key in level}


def compare_pairs(column: ScoreColumn, keys: Sequence[tuple[str, str]]) -> tuple[Pair, ...]:
    """Paired tests of one family, corrected together; pairs that have no text in common are left out."""
    assert column.direction != "none", "nothing is better where no direction is"
    family = []
    for a, b in keys:
        ours, theirs = column.scores[a], column.scores[b]
        shared = sorted(set(ours.per_text) & set(theirs.per_text))
        if shared:
            differences = np.array([ours.per_text[key] - theirs.per_text[key] for key in shared])
            family.append((a, b, unadjusted(differences, seeds=_seeds(ours, theirs))))
    plain = [comparison for _, _, comparison in family]
    corrected = adjusted(plain, holm_factors([comparison.p for comparison in plain]), column.direction)
    return tuple(
        Pair(a, b, found.difference, found.low, found.high, found.p, found.outcome, found.n, len(family), found)
        for (a, b, _), found in zip(family, corrected, strict=True)
    )


def _seeds(ours: EntryScore, theirs: EntryScore) -> SeedVariance | None:
    """What training seeds add to the variance of a difference, as far as it is known: an entry of one seed shows
    nothing of it. Settings of the same trainings share what these are worth, so their differences are looked at."""
    if ours.trainings == theirs.trainings and len(ours.by_seed) > 1:
        apart = [
            {key: own[key] - other[key] for key in own.keys() & other.keys()}
            for own, other in zip(ours.by_seed, theirs.by_seed, strict=True)
        ]
        return over_seeds([a - b for a, b in zip(ours.seeds, theirs.seeds, strict=True)], apart)
    known = [score.variance for score in (ours, theirs) if score.variance is not None]
    return known[0] + known[1] if len(known) > 1 else known[0] if known else None


def mark_disjoint(quantities: Mapping[str, Quantity], direction: Direction) -> dict[str, Mark]:
    """Mark the best where its interval meets no other; no mark at all otherwise. Every value needs an interval."""
    valued = {key: quantity for key, quantity in quantities.items() if quantity.value is not None}
    if direction == "none" or len(valued) < 2:
        return {}
    best = _best(valued, direction)
    return {best: "best"} if all(clear(valued[best], valued[k], direction) for k in valued if k != best) else {}


def clear(a: Quantity, b: Quantity, direction: Direction) -> bool:
    """Whether `a` is better than `b` with disjoint intervals."""
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low > b.high if direction == "higher" else a.high < b.low


def _best(quantities: Mapping[str, Quantity], direction: Direction) -> str:
    sign = 1 if direction == "higher" else -1
    return max(quantities, key=lambda key: sign * (quantities[key].value or 0.0))
