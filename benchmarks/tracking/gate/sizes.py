"""How many texts and how many rounds show a regression that one would want to see, from the spread in the records.

Two systems' scores of the same texts are spread as their differences are, which only a run of each tells. Of a baseline
alone two of its trainings stand in for that, and where there is but one, texts that have nothing in common: twice the
variance of a score, which is more than there will be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from benchmarks.planning.gate_margins import default
from benchmarks.records.schema import Score
from benchmarks.stats.evidence import ChangeEvidence, StudentEvidence, TextEvidence
from benchmarks.stats.intervals import LEVEL
from benchmarks.stats.ratios import LEAST_ROUNDS, Spread, detectable_ratio, spread_of
from benchmarks.timing.noise_floor import LEAST_PROCESSES
from benchmarks.tracking import corpus
from benchmarks.tracking.judging import Judge, NotJudged
from benchmarks.tracking.pairs import EntryPair, SideEntry
from benchmarks.tracking.quality import per_text
from benchmarks.tracking.speed import PROCESS_DEVIATION

POWER = 0.9
SLOWDOWN = 0.05
POINTS = 2  # of a hundred; of a score of another scale as many per cent
_AIMED = 0.97  # what sizes are worked out for: spreads are estimates, and what is promised is to be kept with them
MOST_PROCESSES = 40
_TRAININGS = "two trainings of the baseline"


@dataclass(frozen=True)
class NeededTexts:
    """The texts that show a loss of a metric.

    Attributes:
        loss: in the units of the score.
        needed: None where no number of texts does, and `visible` where nothing is known of the spread.
        visible: the smallest loss that as many texts as there are show with 90 % power.
        basis: what the spread is taken from; why nothing is known of it, where `visible` is None.
    """

    entry: str
    metric: str
    loss: float
    texts: int
    needed: int | None
    visible: float | None
    basis: str


def texts_for(
    entry: str, metric: str, loss: float, n: int, evidence: ChangeEvidence | None, tests: int, basis: str
) -> NeededTexts:
    """The texts that show `loss` in one of so many tests, where n texts left this evidence."""
    visible = None if evidence is None else evidence.detectable(tests, _AIMED)
    if evidence is None or visible is None:
        why = basis if evidence is None else f"in {n:,} texts no difference was seen, and more are needed to see one"
        return NeededTexts(entry, metric, loss, n, None, None, why)
    alone = visible
    if isinstance(evidence, TextEvidence | StudentEvidence) and evidence.seeds is not None:
        alone = replace(evidence, seeds=None).detectable(tests, _AIMED) or 0.0
    # More texts do not make trainings differ less: what is left for texts is what those do not take.
    left = loss**2 - max(0.0, visible**2 - alone**2)
    return NeededTexts(entry, metric, loss, n, math.ceil(n * alone**2 / left) if left > 0 else None, visible, basis)


def alone(entry: SideEntry, score: Score, judge: Judge) -> tuple[ChangeEvidence | None, str]:
    """What the spread of a difference from a baseline will be, as far as the baseline alone says; and what says it, or
    why nothing does."""
    by_seed = per_text(entry, score.metric)
    if not by_seed:
        return _of_corpus(entry, score, judge)
    if len(by_seed) > 1:
        shared = sorted(set(by_seed[0]) & set(by_seed[1]))
        apart = np.array([by_seed[1][key] - by_seed[0][key] for key in shared])
        if len(apart) > 1 and np.ptp(apart) > 0:
            return TextEvidence(apart), _TRAININGS
    values = np.array(list(by_seed[0].values()))
    if len(values) < 2:
        return None, "the baseline has a score of fewer than two texts"
    if not np.ptp(values) > 0:
        return None, "all texts of the baseline have the same score, which does not say how far others differ"
    return _twice(float(np.var(values, ddof=1)) / len(values), len(values) - 1.0), "the baseline's texts, at most"


def _of_corpus(entry: SideEntry, score: Score, judge: Judge) -> tuple[ChangeEvidence | None, str]:
    """Of a score of the corpus: its documents drawn again, as comparisons do; or else the interval it came with."""
    try:
        if len(entry.cells) > 1:
            first, second = (replace(entry, cells=(cell,)) for cell in entry.cells[:2])
            variation = corpus.variation(EntryPair(first, second, ()), score.metric, judge)
            if variation.variance > 0:
                return StudentEvidence(0.0, variation.variance, variation.freedom), _TRAININGS
        variation = corpus.variation_alone(replace(entry, cells=entry.cells[:1]), score.metric, judge)
        if variation.variance > 0:
            return _twice(variation.variance, variation.freedom), "the baseline's documents drawn again, at most"
        why = "it is the same whichever documents are chosen"
    except NotJudged as reason:
        why = f"it has no score for each text, and {reason}"
    if score.low is not None and score.high is not None and score.n > 1 and score.high > score.low:
        error = (score.high - score.low) / (2 * float(ndtri((1 + (score.level or LEVEL)) / 2)))
        return _twice(error**2, score.n - 1.0), "the baseline's interval, at most"
    return None, why


def _twice(variance: float, freedom: float) -> ChangeEvidence:
    """Of two scores that have nothing in common."""
    return StudentEvidence(0.0, 2 * variance, freedom)


def points(score: Score) -> float:
    """What 2 points are of a metric, in its own units."""
    return default(score).of(score.value or 0.0)


@dataclass(frozen=True)
class NeededProcesses:
    """The processes of each side, with so many rounds in each, that show a slowdown of 5 %.

    Attributes:
        needed: None where it is more than anybody waits for.
        visible: the smallest slowdown that `given` processes show with 90 % power.
    """

    entry: str
    quantity: str
    rounds: int
    needed: int | None
    given: int
    visible: float | None
    basis: str


def processes_for(spread: Spread, rounds: int, tests: int, slowdown: float = SLOWDOWN) -> int | None:
    """The fewest processes of so many rounds that show a slowdown, given the spread of log ratios."""
    counts = range(LEAST_PROCESSES, MOST_PROCESSES + 1)
    return next((count for count in counts if visible(spread, count, rounds, tests) <= slowdown), None)


def visible(spread: Spread, processes: int, rounds: int, tests: int) -> float:
    """The smallest slowdown that so many processes of so many rounds show with 90 % power, in one of so many tests.

    It must be shown twice, the second time in fresh processes, so each time has the root of the power.
    """
    level = 1 - (1 - LEVEL) / tests
    return detectable_ratio(spread, processes, rounds, level=level, power=math.sqrt(_AIMED)) - 1


def spread_between(processes: Sequence[Sequence[float]]) -> tuple[Spread | None, str]:
    """The spread of the log ratio of two processes of one code.

    Args:
        processes: logarithms of the seconds of equal calls, of each process that was timed.
    """
    whole = [each for each in processes if len(each) >= LEAST_ROUNDS]
    if not whole:
        return None, "the baseline was timed too few times, and `doctor --timing` was not run here"
    if len(whole) >= LEAST_PROCESSES:
        one = spread_of(whole)
        return replace(one, between=2 * one.between, within=2 * one.within), f"{len(whole)} processes of the baseline"
    one = spread_of([*whole, whole[0]])
    assumed = Spread(2 * PROCESS_DEVIATION**2, 2 * one.within, len(whole), one.rounds)
    timed = "one process" if len(whole) == 1 else f"{len(whole)} processes"
    return assumed, f"{timed} of the baseline, and {PROCESS_DEVIATION:.0%} assumed for how processes differ"


def told(texts: Sequence[NeededTexts], processes: Sequence[NeededProcesses]) -> Iterator[str]:
    """The plan, a line each."""
    yield f"texts for a loss of {POINTS} points, with {POWER:.0%} power:"
    for one in texts:
        there = f"there are {one.texts:,}" + ("" if one.visible is None else f", which show {one.visible:.3g}")
        if one.visible is None:
            yield f"  {one.metric} of {one.entry}: not known, for {one.basis}"
        elif one.needed is None:
            more = "no number of texts, for trainings differ by more; add seeds"
            yield f"  {one.metric} of {one.entry}: {more} ({there})"
        else:
            small = "; too small to see now" if one.needed > one.texts else ""
            yield f"  {one.metric} of {one.entry}: {one.needed:,} for {one.loss:.3g} ({there}{small}; by {one.basis})"
    yield f"processes and rounds for a slowdown of {SLOWDOWN:.0%}, with {POWER:.0%} power:"
    for each in processes:
        if each.visible is None and each.given > 1:
            yield f"  {each.quantity} of {each.entry}: not known, for {each.basis}"
            continue
        if each.visible is None:
            there, small = f"{each.given} processes fit into the time given: nothing can be seen", ""
        else:
            there = f"{each.given} processes show {each.visible:.1%}"
            small = "; too small to see so" if each.visible > SLOWDOWN else ""
        need = f"more than {MOST_PROCESSES}" if each.needed is None else f"--processes {each.needed}"
        yield f"  {each.quantity} of {each.entry}: {need} --rounds {each.rounds} ({there}{small}; by {each.basis})"
