"""A curve against the entries of other systems: its quality in their time, and its time to their quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.stats.curves import limits, quality_at, time_at
from benchmarks.stats.intervals import Array
from reports.columns import ScoreColumn
from reports.curves.knobs import KnobCurve, curves_of
from reports.front import is_placed, quality_draws, speed_draws
from reports.panels import Entry, Panel
from reports.quantities import FEWEST_BATCHES, LEVEL, Quantity

NEAR_END = "too near an end of the curve for an interval: it would need points beyond it"
BEFORE = "not measured: its fastest setting takes longer"
AFTER = "not measured: its slowest setting takes less"
BETTER = "not measured: its fastest setting is better already"
NEVER = "not reached by any of its settings"


@dataclass(frozen=True)
class EqualTerms:
    """A curve and an entry of another system, on equal terms.

    Attributes:
        quality: what the curve reaches in the entry's time; `ahead` less the entry's own, above 0 where the curve is
            better.
        milliseconds: what a text takes on the curve at the entry's quality; `times_as_fast` as the entry.

    The intervals of both comparisons are as wide as all of a panel together need (Bonferroni).
    """

    curve: KnobCurve
    entry: Entry
    quality: Quantity
    ahead: Quantity
    milliseconds: Quantity
    times_as_fast: Quantity


def on_equal_terms(panel: Panel) -> tuple[EqualTerms, ...]:
    """Every curve of a panel against every entry of other systems; only what has a score and a valid timing counts."""
    column = panel.headline
    if column is None:
        return ()
    placed = [entry for entry in panel.trained if is_placed(column, entry)]
    curves = curves_of(placed)
    if not curves or len({entry.system for entry in placed}) < 2:
        return ()
    sign = 1.0 if column.direction == "higher" else -1.0
    measured, drawn = _points(column, placed, sign)
    tests = sum(entry.system != curve.system for curve in curves for entry in placed)
    level = 1 - (1 - LEVEL) / max(1, tests)
    place = {entry.key: number for number, entry in enumerate(placed)}
    found = []
    for curve in curves:
        on = [place[entry.key] for entry in curve.entries]
        others = [entry for entry in placed if entry.system != curve.system]
        found += [
            _against(curve, entry, on, place[entry.key], measured, drawn, sign, column, level) for entry in others
        ]
    return tuple(found)


Points = tuple[Array, Array]
"""Times of a text in seconds and qualities, higher is better, shape (draws, entries) each."""


def _points(column: ScoreColumn, entries: list[Entry], sign: float) -> tuple[Points, Points]:
    """What was measured, as one draw, and draws of texts, trainings and timed batches, the same for all curves."""
    generator = np.random.default_rng(0)
    scores = [column.scores[entry.key] for entry in entries]
    qualities = sign * quality_draws(scores, generator)
    speeds = np.stack([speed_draws(entry, generator) for entry in entries], axis=1)
    values = np.array([[sign * float(score.quantity.value or 0.0) for score in scores]])
    measured = np.array([[1.0 / float(entry.throughput.value or np.nan) for entry in entries]])
    return (measured, values), (1.0 / speeds, qualities)


def _against(
    curve: KnobCurve,
    entry: Entry,
    on: list[int],
    other: int,
    measured: Points,
    drawn: Points,
    sign: float,
    column: ScoreColumn,
    level: float,
) -> EqualTerms:
    involved = [*curve.entries, entry]
    texts = min(len(column.scores[one.key].per_text) or column.scores[one.key].quantity.n for one in involved)
    batches = min(one.throughput.n for one in involved)
    n = min(texts, batches) if batches >= FEWEST_BATCHES else 0
    (times, qualities), (time_draws, draws) = measured, drawn
    reached = [quality_at(t[:, other], t[:, on], q[:, on]) for t, q in (measured, drawn)]
    taken = [time_at(q[:, other], t[:, on], q[:, on]) for t, q in (measured, drawn)]
    slow = times[0, other] > times[0, on].max()
    low = not (qualities[0, on] >= qualities[0, other]).any()
    by_time, by_quality = AFTER if slow else BEFORE, NEVER if low else BETTER
    return EqualTerms(
        curve,
        entry,
        quality=_quantity(sign * reached[0], sign * reached[1], n, by_time),
        ahead=_quantity(reached[0] - qualities[:, other], reached[1] - draws[:, other], n, by_time, level),
        milliseconds=_quantity(1e3 * taken[0], 1e3 * taken[1], n, by_quality),
        times_as_fast=_quantity(times[:, other] / taken[0], time_draws[:, other] / taken[1], n, by_quality, level),
    )


def _quantity(measured: Array, draws: Array, n: int, refusal: str, level: float = LEVEL) -> Quantity:
    value = float(measured[0])
    if np.isnan(value):
        return Quantity(None, reason=refusal)
    interval = limits(draws, n, level=level)
    if interval is None:
        return Quantity(None, reason=NEAR_END if n >= FEWEST_BATCHES else "too few timed batches for an interval")
    return Quantity(value, min(value, interval.low), max(value, interval.high), n)
