"""Which entry of a column is best, and whether that can be told.

Per-text scores are compared text by text (paired sign-flip test and bootstrap, `benchmarks.stats.paired`), every pair
of trained entries in a column, with Holm's correction over all of that column's pairs. So picking the best afterwards
needs no further correction. Quantities without values per text (corpus metrics, speed) get a mark only where intervals
are disjoint. Scores are marked within a track: who uses weights learnt elsewhere is ranked with its like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from benchmarks.records.schema import Direction
from benchmarks.stats import Interval, compare, decide, holm
from reports.columns import ScoreColumn
from reports.panels import Entry
from reports.quantities import LEVEL, Quantity

Mark = Literal["", "best", "level"]


@dataclass(frozen=True)
class Pair:
    """Entry `a` against entry `b` on the texts both have, corrected for the family the pair belongs to."""

    a: str
    b: str
    difference: float  # a - b
    low: float
    high: float
    p: float  # after Holm
    outcome: Literal["better", "worse", "cannot tell"]  # of a
    detectable: float
    n: int

    def reversed(self) -> Pair:
        turned: dict[str, Literal["better", "worse", "cannot tell"]] = {"better": "worse", "worse": "better"}
        return Pair(
            self.b,
            self.a,
            -self.difference,
            -self.high,
            -self.low,
            self.p,
            turned.get(self.outcome, "cannot tell"),
            self.detectable,
            self.n,
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
    for elsewhere in (False, True):
        track = {e.key: valued[e.key] for e in entries if e.elsewhere == elsewhere and e.key in valued}
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
    direction = column.direction
    tested = []
    for a, b in keys:
        ours, theirs = column.scores[a].per_text, column.scores[b].per_text
        shared = sorted(set(ours) & set(theirs))
        if shared:
            comparison = compare(
                [ours[i] for i in shared], [theirs[i] for i in shared], direction=direction, level=LEVEL
            )
            tested.append((a, b, comparison))
    corrected = holm([comparison.p for _, _, comparison in tested])
    return tuple(
        Pair(
            a,
            b,
            c.difference,
            c.low,
            c.high,
            p,
            decide(c.difference, p, Interval(c.low, c.high, LEVEL), direction=direction),
            c.detectable,
            c.n,
        )
        for (a, b, c), p in zip(tested, corrected, strict=True)
    )


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
