"""Scores of a whole corpus: both sides' documents are resampled together, by what the metric's evaluator gives."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.tracking import quality
from benchmarks.tracking.pairs import EntryPair
from benchmarks.tracking.rows import row
from benchmarks.tracking.schema import ComparedQuantity


@dataclass(frozen=True)
class Judge:
    """Who judges texts again: on this device."""

    device: str = "cpu"


def corpus_row(pair: EntryPair, metric: str, judge: Judge) -> ComparedQuantity:
    """The row of a metric that has no score per text."""
    ours, theirs = quality.scores_of(pair.a, metric), quality.scores_of(pair.b, metric)
    a, b = (sum(score.value or 0.0 for score in side) / len(side) for side in (ours, theirs))
    reason = "it has no score for each text, and was not judged again"
    return row(metric, "quality", ours[0].direction, (a, b), None, n=ours[0].n, reason=reason)
