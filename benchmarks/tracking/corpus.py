"""Scores of a whole corpus: both sides' documents are resampled together, by what the metric's evaluator gives.

The texts of both sides are judged again, by the evaluator that the records name, and it says how its score depends on
the documents: as a function of sums over texts (BLEU, perplexity), of which documents are drawn with replacement; by
its value without each text (distinct n-grams, which a text drawn twice would make fewer); or by its values on disjoint
groups of documents and by its own random seeds (MAUVE, whose clustering sees a text drawn twice). Of an evaluator that
says none of these, such groups are judged here. In all of them both sides have the same documents at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.records.schema import difference
from benchmarks.stats import FEWEST, SeedVariance
from benchmarks.stats.bootstrap import DRAWS, Array, jackknife_error, resampled_counts
from benchmarks.stats.evidence import StudentEvidence
from benchmarks.tracking import quality, seeds
from benchmarks.tracking.judging import Judge, NotJudged
from benchmarks.tracking.pairs import EntryPair, SideEntry
from benchmarks.tracking.rows import row
from benchmarks.tracking.schema import ComparedQuantity
from cosmos.io.counting import agreeing, counted

if TYPE_CHECKING:
    from benchmarks.metrics import Measured

GROUPS = 10  # disjoint groups of documents, at most, of an evaluator that says nothing of its spread
_NEAR = 2e-6  # scores are kept to six decimals
_CHUNK = 2_000_000  # entries of the resampling matrix held at once


@dataclass(frozen=True)
class Variation:
    """How a difference of two scores varies over the choice of documents."""

    variance: float
    freedom: float


def corpus_row(pair: EntryPair, metric: str, judge: Judge) -> ComparedQuantity:
    """The row of a metric that has no score per text; "cannot tell", with the reason, where it cannot be resampled."""
    ours, theirs = quality.scores_of(pair.a, metric), quality.scores_of(pair.b, metric)
    values = [[float(score.value or 0.0) for score in side] for side in (ours, theirs)]
    a, b = (math.fsum(side) / len(side) for side in values)
    direction, n = ours[0].direction, min(score.n for score in (*ours, *theirs))
    try:
        found = variation(pair, metric, judge)
    except NotJudged as why:
        return row(metric, "quality", direction, (a, b), None, n=n, reason=f"it has no score for each text, and {why}")
    if a == b and found.variance == 0:
        reason = "it is the same on both sides, whichever documents are chosen"
        return row(metric, "quality", direction, (a, b), None, n=n, reason=reason)
    variance: SeedVariance | None = seeds.of_difference(pair, (values[0], values[1]), ((), ()))
    return row(
        metric,
        "quality",
        direction,
        (a, b),
        StudentEvidence(b - a, found.variance, found.freedom, seeds=variance),
        n=n,
        covers="texts" if variance is None else "texts and seeds",
    )


def variation(pair: EntryPair, metric: str, judge: Judge) -> Variation:
    """How the difference of the means over seeds of both sides varies over documents.

    Raises:
        NotJudged: that cannot be known.
    """
    return _of_sides((pair.a, pair.b), metric, judge)


def variation_alone(entry: SideEntry, metric: str, judge: Judge) -> Variation:
    """How the mean over seeds of one entry varies over documents: its difference from what does not vary.

    Raises:
        NotJudged: that cannot be known.
    """
    return _of_sides((entry,), metric, judge)


def _of_sides(sides: Sequence[SideEntry], metric: str, judge: Judge) -> Variation:
    found = [_judged(entry, metric, judge) for entry in sides]
    every = [measured for side in found for measured in side]
    batches = [judge.batch(cell) for entry in sides for cell in entry.cells]
    ids = [document.id for document in batches[0].documents]
    assert all([d.id for d in batch.documents] == ids for batch in batches), "documents of one hash have one order"
    if len(ids) < FEWEST:
        are = agreeing(len(ids), "is", "are")
        raise NotJudged(f"{counted(len(ids), 'document')} {are} too few to resample; {FEWEST} are needed")
    if all(measured.rows is not None and measured.statistic is not None for measured in every):
        return drawn(*_two(found), len(ids))
    if all(measured.left_out is not None for measured in every):
        return jackknifed(*_two(found))
    if not all(len(measured.groups) > 1 for measured in every):
        found = [_in_groups(entry, metric, judge) for entry in sides]
    return grouped(*_two(found))


def _two(sides: Sequence[Sequence[Measured]]) -> tuple[Sequence[Measured], Sequence[Measured]]:
    """Two sides; one alone beside a score of 0 whichever documents are chosen."""
    if len(sides) == 2:
        return sides[0], sides[1]
    return [_still(measured) for measured in sides[0]], sides[0]


def _still(measured: Measured) -> Measured:
    """What an evaluator would have found in the same texts, were the score 0 of any of them."""
    return replace(
        measured,
        statistic=None if measured.statistic is None else lambda sums: np.zeros(len(sums)),
        left_out=None if measured.left_out is None else tuple(None if v is None else 0.0 for v in measured.left_out),
        groups=(0.0,) * len(measured.groups),
        repeats=(0.0,) * len(measured.repeats),
    )


def _judged(entry: SideEntry, metric: str, judge: Judge) -> list[Measured]:
    """What the evaluator finds in the texts of each seed, which must be what the record says."""
    found = []
    for cell, recorded in zip(entry.cells, quality.scores_of(entry, metric), strict=True):
        measured, score = judge.found(cell, metric)
        if (unlike := difference([recorded.signature, score.signature])) is not None:
            raise NotJudged(f"it would be judged otherwise here: {unlike}")
        if abs((score.value or 0.0) - (recorded.value or 0.0)) > _NEAR * max(1.0, abs(recorded.value or 0.0)):
            raise NotJudged(f"it is {score.value:g} when judged here, and {recorded.value:g} in the records")
        found.append(measured)
    return found


def drawn(a: Sequence[Measured], b: Sequence[Measured], n: int) -> Variation:
    """By drawing n documents with replacement, the same ones for both sides and all seeds."""
    tables = [[_placed(measured, n) for measured in side] for side in (a, b)]
    generator, step = np.random.default_rng(0), max(1, _CHUNK // n)
    draws = []
    for start in range(0, DRAWS, step):
        counts = resampled_counts(n, min(step, DRAWS - start), generator)  # (draws, n)
        means = [
            np.mean([_statistic(measured)(counts @ rows) for measured, rows in zip(side, own, strict=True)], axis=0)
            for side, own in zip((a, b), tables, strict=True)
        ]
        draws.append(means[1] - means[0])
    differences = np.concatenate(draws)
    if not np.isfinite(differences).all():
        raise NotJudged("some choices of these documents have no score")
    # Documents drawn from those at hand vary less than others by one part in n.
    return Variation(float(differences.var(ddof=1)) * n / (n - 1), n - 1.0)


def _placed(measured: Measured, n: int) -> Array:
    """The sufficient statistics of each of n documents, shape (n, k); zero where a text has none."""
    assert measured.rows is not None, "only what has rows is placed"
    places = range(n) if measured.places is None else measured.places
    table = np.zeros((n, measured.rows.shape[1]))
    table[list(places)] = measured.rows
    return table


def _statistic(measured: Measured) -> Callable[[Array], Array]:
    assert measured.statistic is not None, "only what has a statistic is drawn"
    return measured.statistic


def jackknifed(a: Sequence[Measured], b: Sequence[Measured]) -> Variation:
    """By leaving out each document on both sides (Efron and Tibshirani 1993, chapter 11)."""
    sides = [_left_out(side) for side in (a, b)]
    shared = sorted(sides[0].keys() & sides[1].keys())
    if len(shared) < FEWEST:
        count = agreeing(len(shared), "counts", "count")
        raise NotJudged(f"only {counted(len(shared), 'document')} {count} on both sides")
    apart = np.array([sides[1][place] - sides[0][place] for place in shared])
    return Variation(jackknife_error(apart) ** 2, len(shared) - 1.0)


def _left_out(side: Sequence[Measured]) -> Mapping[int, float]:
    """The mean over seeds of the score without the document at a place, of those that count for every seed."""
    tables = [
        {place: value for place, value in enumerate(measured.left_out or ()) if value is not None} for measured in side
    ]
    shared = set.intersection(*(set(table) for table in tables))
    return {place: math.fsum(table[place] for table in tables) / len(tables) for place in shared}


def grouped(a: Sequence[Measured], b: Sequence[Measured]) -> Variation:
    """By disjoint groups of documents, the same on both sides (Wolter 2007, section 2.2), and the metric's seeds.

    The variance of the mean over groups stands for that of the score of all documents; what the seeds of the metric
    make of it at full size is added, with the seeds of both sides as pairs.
    """
    groups = _apart([[measured.groups for measured in side] for side in (a, b)])
    variance = float(np.var(groups, ddof=1)) / len(groups)
    repeats = [[measured.repeats for measured in side] for side in (a, b)]
    if all(len(own) > 1 for side in repeats for own in side):
        by_seed = _apart(repeats)
        variance += float(np.var(by_seed, ddof=1)) / len(by_seed)
    return Variation(variance, len(groups) - 1.0)


def _apart(sides: Sequence[Sequence[Sequence[float]]]) -> Array:
    """Differences B - A, part by part, of the means over training seeds."""
    means = [np.array(side, dtype=float).mean(axis=0) for side in sides]
    found: Array = means[1] - means[0]
    return found


def _in_groups(entry: SideEntry, metric: str, judge: Judge) -> list[Measured]:
    """The scores of disjoint groups of documents, chosen by their place, for each seed."""
    from benchmarks.metrics import Measured

    found = []
    for cell in entry.cells:
        batch = judge.batch(cell)
        count = min(GROUPS, len(batch.texts) // FEWEST)
        if count < 2:
            raise NotJudged(f"{len(batch.texts)} documents make no two groups of {FEWEST}, by which it would be judged")
        values = []
        for start in range(count):
            part = replace(
                batch,
                documents=batch.documents[start::count],
                texts=batch.texts[start::count],
                samples=None if batch.samples is None else batch.samples[start::count],
                likelihoods=None if batch.likelihoods is None else batch.likelihoods[start::count],
            )
            _, score = judge.found(cell, metric, part)
            values.append(float(score.value or 0.0))
        found.append(Measured(groups=tuple(values)))
    return found
