"""How surely an entry is on the front of quality and speed: its share of draws of texts, seeds and timed batches.

Texts are drawn once for all entries, who were asked the same, and so share what is hard; seeds once for all settings of
a system, which share its trainings; timed batches for each entry. The same records give the same shares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtri

from benchmarks.records import validity
from benchmarks.stats.bootstrap import resampled_counts
from benchmarks.stats.intervals import Array
from benchmarks.stats.pareto import front_shares
from reports.columns import EntryScore, ScoreColumn
from reports.panels import Entry, Panel
from reports.quantities import LEVEL

DRAWS = 2000


def shares_on_front(panel: Panel) -> Mapping[str, float]:
    """For each entry with a headline score and a valid timing, the share of draws in which no other of its track is at
    least as good and as fast and better in one; empty for a track of one, and where no score has an interval."""
    column = panel.headline
    if column is None or not any(map(_is_drawn, column.scores.values())):
        return {}
    shares: dict[str, float] = {}
    for entries in panel.tracks.values():
        placed = [entry for entry in entries if is_placed(column, entry)]
        if len(placed) > 1:
            generator = np.random.default_rng(0)
            scores = [column.scores[entry.key] for entry in placed]
            qualities = quality_draws(scores, generator) * (1 if column.direction == "higher" else -1)
            speeds = np.stack([speed_draws(entry, generator) for entry in placed], axis=1)
            drawn = front_shares(qualities, speeds)
            shares |= {entry.key: float(share) for entry, share in zip(placed, drawn, strict=True)}
    return shares


def _is_drawn(score: EntryScore) -> bool:
    """Whether anything is known of how far a score would be another with other texts."""
    return bool(score.per_text) or score.quantity.low is not None


def is_placed(column: ScoreColumn, entry: Entry) -> bool:
    """Whether an entry has both: a score, and a throughput to be trusted."""
    score = column.scores.get(entry.key)
    return (
        score is not None
        and score.quantity.value is not None
        and bool(entry.throughput.value)
        and not entry.throughput_doubts
    )


def quality_draws(scores: Sequence[EntryScore], generator: np.random.Generator) -> Array:
    """Draws of the scores of entries, shape (draws, entries)."""
    texts = sorted({key for score in scores for key in score.per_text})
    counts = resampled_counts(len(texts), DRAWS, generator) if texts else np.empty((DRAWS, 0))  # (draws, texts)
    trainings = {score.trainings: len(score.by_seed) for score in scores if score.by_seed}
    seeds = {training: resampled_counts(count, DRAWS, generator) for training, count in trainings.items()}
    columns = [
        _of_texts(score, texts, counts, seeds[score.trainings]) if score.per_text else _around(score, generator)
        for score in scores
    ]
    return np.stack(columns, axis=1)


def _of_texts(score: EntryScore, texts: Sequence[str], counts: Array, drawn: Array) -> Array:
    """Means over drawn texts of drawn seeds, shape (draws,), from how often each is drawn, shapes (draws, texts) and
    (draws, seeds).

    Drawing s seeds makes their variance (s - 1) / s of what it is, so the draws are moved apart by the root of that.
    """
    values = np.array([[of.get(key, np.nan) for key in texts] for of in score.by_seed])  # (seeds, texts)
    there = np.isfinite(values)
    weights = counts @ there.T.astype(float)  # (draws, seeds)
    means = counts @ np.where(there, values, 0.0).T / np.maximum(weights, 1.0)
    seeds = len(values)
    if seeds == 1:
        return np.asarray(means[:, 0])
    return np.asarray(((1.0 + (drawn - 1.0) * math.sqrt(seeds / (seeds - 1))) * means).mean(axis=1))


def _around(score: EntryScore, generator: np.random.Generator) -> Array:
    """Draws of a corpus metric, whose texts are not here: normal to both sides of its value, as wide as its interval;
    the value itself where it has none. Shape (draws,)."""
    quantity = score.quantity
    assert quantity.value is not None
    normal = generator.standard_normal(DRAWS) / float(ndtri((1 + LEVEL) / 2))
    if quantity.low is None or quantity.high is None:
        return np.full(DRAWS, quantity.value)
    return quantity.value + np.where(normal < 0, quantity.value - quantity.low, quantity.high - quantity.value) * normal


def speed_draws(entry: Entry, generator: np.random.Generator) -> Array:
    """Texts per second over drawn batches, shape (draws,)."""
    timed = [
        timing
        for record in entry.records
        for timing in validity.calls_of(record, validity.throughput(record.header.batch_size))
    ]
    rows = np.array([[len(timing.ids), timing.seconds] for timing in timed], dtype=float)  # (batches, 2)
    sums = resampled_counts(len(rows), DRAWS, generator) @ rows
    return np.asarray(sums[:, 0] / sums[:, 1])
