"""Scores of two entries, metric by metric: which may be compared, and what is known of their difference.

Scores per text are paired by document. Where there are several seeds, the mean over seeds of each text is compared.
Differences are B - A.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from benchmarks.records import run_texts
from benchmarks.records.schema import Direction, Score, difference
from benchmarks.stats.evidence import TextEvidence
from benchmarks.tracking import seeds
from benchmarks.tracking.pairs import EntryPair, SideEntry
from benchmarks.tracking.rows import row
from benchmarks.tracking.schema import ComparedQuantity, Kind

BySeed = Sequence[seeds.PerText]


def metric_names(pair: EntryPair, asked: Collection[str] = ()) -> list[str]:
    """The metrics that both sides were judged by, in the order of A; of those that are asked for, if any are."""
    theirs = {score.metric for cell in pair.b.cells for score in cell.record.scores}
    ours = dict.fromkeys(score.metric for cell in pair.a.cells for score in cell.record.scores)
    return [name for name in ours if name in theirs and (not asked or name in asked)]


def without_value(pair: EntryPair, metric: str) -> bool:
    """Whether no seed of either side has a value by a metric, so that there is nothing to refuse."""
    return not scores_of(pair.a, metric) and not scores_of(pair.b, metric)


def on_one_side(pair: EntryPair) -> list[str]:
    """The metrics that one side alone was judged by, a sentence's part each."""
    sides = [{score.metric: None for cell in entry.cells for score in cell.record.scores} for entry in (pair.a, pair.b)]
    return [
        f"{name}: judged only on side {side}"
        for side, own, other in (("A", *sides), ("B", *reversed(sides)))
        for name in own
        if name not in other
    ]


def same_texts(pair: EntryPair) -> bool:
    """Whether both sides kept their texts and wrote the same ones, in the order of their seeds."""
    ours, theirs = (
        [[(sample.id, sample.text) for sample in cell.record.samples] for cell in entry.cells]
        for entry in (pair.a, pair.b)
    )
    return ours == theirs and all(ours)


def scores_of(entry: SideEntry, metric: str) -> list[Score]:
    """The scores of an entry by a metric, one for each seed that has a value."""
    every = [score for cell in entry.cells for score in cell.record.scores if score.metric == metric]
    return [score for score in every if score.value is not None]


def declared_title(pair: EntryPair, metric: str) -> str:
    """What the records call a metric, those of B before those of A; "" where both are older than such titles."""
    every = (*scores_of(pair.b, metric), *scores_of(pair.a, metric))
    return next((score.title for score in every if score.title), "")


def refusal(pair: EntryPair, metric: str) -> str | None:
    """Why the scores by a metric may not be compared; None if they may."""
    ours, theirs = scores_of(pair.a, metric), scores_of(pair.b, metric)
    for side, entry, found in (("A", pair.a, ours), ("B", pair.b, theirs)):
        if len(found) < len(entry.cells):
            reasons = [s.reason for c in entry.cells for s in c.record.scores if s.metric == metric and s.value is None]
            return f"{metric}: side {side} has no value ({next(filter(None, reasons), 'not scored')})"
    signatures = [score.signature for score in (*ours, *theirs)]
    forms = list(dict.fromkeys(signature.form for signature in signatures))
    if len(forms) > 1:
        return f"{metric}: normalisation " + " against ".join(f"“{form or 'none'}”" for form in forms)
    unlike = difference(signatures)
    return None if unlike is None else f"{metric}: judged unlike, {unlike}"


def per_text(entry: SideEntry, metric: str) -> list[dict[str, float]]:
    """Of each seed the score of each text by the document's id; empty where the metric has none."""
    found = []
    for cell in entry.cells:
        ids = run_texts.text_ids(cell.record)
        for score in cell.record.scores:
            if score.metric == metric and score.values is not None and len(score.values) == len(ids):
                pairs = zip(ids, score.values, strict=True)
                found.append({key: value for key, value in pairs if value is not None})
    return found if len(found) == len(entry.cells) else []


def text_row(pair: EntryPair, metric: str) -> ComparedQuantity | None:
    """The row of a metric that has a score for each text; None where it has not."""
    by_seed = per_text(pair.a, metric), per_text(pair.b, metric)
    if not (by_seed[0] and by_seed[1]):
        return None
    return paired_row(pair, metric, "quality", scores_of(pair.a, metric)[0].direction, by_seed)


def calls_row(pair: EntryPair) -> ComparedQuantity | None:
    """The row of network calls for a text, of the first network; None where a side has no network or kept no texts."""
    by_seed = _calls(pair.a), _calls(pair.b)
    if not (by_seed[0] and by_seed[1]):
        return None
    return paired_row(pair, "calls", "calls", "lower", by_seed)


def _calls(entry: SideEntry) -> list[dict[str, float]]:
    """Of each seed the calls for each text in the batch it was made in; empty where a record does not say."""
    found = []
    for cell in entry.cells:
        first = next(iter(cell.header.networks), None)
        calls = {sample.id: sample.calls.get(first) for sample in cell.record.samples} if first else {}
        found.append({key: float(count) for key, count in calls.items() if count is not None})
    return found if all(found) else []


def paired_row(
    pair: EntryPair, quantity: str, kind: Kind, direction: Direction, by_seed: tuple[BySeed, BySeed]
) -> ComparedQuantity:
    """A row of values that each text has, of each seed of A and of B."""
    ours, theirs = seeds.mean_over_seeds(by_seed[0]), seeds.mean_over_seeds(by_seed[1])
    shared = [key for key in ours if key in theirs]
    if not shared:
        reason = "no text has a value on both sides"
        return row(quantity, kind, direction, (_mean(ours), _mean(theirs)), None, n=0, reason=reason)
    apart = np.array([theirs[key] - ours[key] for key in shared])
    values = [_mean(scores) for scores in by_seed[0]], [_mean(scores) for scores in by_seed[1]]
    variance = seeds.of_difference(pair, values, by_seed)
    return row(
        quantity,
        kind,
        direction,
        (_mean({key: ours[key] for key in shared}), _mean({key: theirs[key] for key in shared})),
        TextEvidence(apart, variance),
        n=len(shared),
        covers="texts" if variance is None else "texts and seeds",
        reason=None,
    )


def _mean(scores: seeds.PerText) -> float:
    return math.fsum(scores.values()) / len(scores) if scores else math.nan
