"""Scores and network calls of two runs, each row of their comparison held to its margin."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.planning.gate_margins import Margin, Margins
from benchmarks.records.schema import Direction
from benchmarks.stats import holm_factors
from benchmarks.stats.evidence import TextEvidence
from benchmarks.tracking.gate.noninferiority import judge, loss_of, shown
from benchmarks.tracking.gate.verdict import GateFinding
from benchmarks.tracking.pairs import EntryPair, SideEntry
from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity

_SAME = "the texts are the same, byte for byte"
_FLOOR = "the score is the same, and a floor's texts follow from the documents, so that nothing is left to chance"


@dataclass(frozen=True)
class GatedRow:
    """A row of a comparison with the loss that it may show.

    Attributes:
        margin: in the units of the row.
        worse: the direction that is bad.
        exact: why there is nothing to test, "" where there is: what is counted and not sampled.
    """

    entry: ComparedEntry
    row: ComparedQuantity
    margin: float
    worse: Literal["up", "down"]
    exact: str = ""


def margins_of(entry: SideEntry, margins: Margins) -> dict[str, Margin]:
    """The metrics that a gate looks at in an entry of the baseline, each with its margin: those it has a value of.

    Where the scale is only known from the scores of texts, all seeds count, and other entries do not.
    """
    found: dict[str, list[Margin]] = {}
    for score in (score for cell in entry.cells for score in cell.record.scores):
        margin = margins.of(score)
        if margin is not None and score.value is not None:
            found.setdefault(score.metric, []).append(margin)
    return {metric: next((one for one in those if one.relative), those[0]) for metric, those in found.items()}


def gated_metrics(pairs: Sequence[EntryPair], margins: Margins) -> list[str]:
    """The metrics that a gate looks at in any entry of the baseline."""
    return list(dict.fromkeys(metric for pair in pairs for metric in margins_of(pair.a, margins)))


def findings(
    compared: Sequence[tuple[EntryPair, ComparedEntry]], margins: Margins, command: Sequence[str]
) -> tuple[GateFinding, ...]:
    """What is found of scores and calls.

    Args:
        compared: each pair of entries, the baseline's first, with what their comparison says.
        command: the words of the command that shows the comparison.
    """
    told = shlex.join(command)
    rows = [row for pair, entry in compared for row in _gated(pair, entry, margins)]
    tested = [row for row in rows if not row.exact and row.row.evidence is not None]
    p_values = [row.row.evidence.p for row in tested if row.row.evidence is not None]
    factors = dict(zip(map(id, tested), holm_factors(p_values), strict=True))
    found = [_finding(row, factors.get(id(row), 1.0), told) for row in rows]
    return (*found, *(one for pair, entry in compared for one in _lost(pair, entry, margins, told)))


def _gated(pair: EntryPair, entry: ComparedEntry, margins: Margins) -> Iterator[GatedRow]:
    metrics, same = margins_of(pair.a, margins), _sameness(pair)
    for row in entry.quantities:
        if row.kind == "quality" and row.quantity in metrics and row.direction != "none":
            margin, worse = metrics[row.quantity].of(row.a or 0.0), worse_of(row.direction)
            yield GatedRow(entry, row, margin, worse, same if is_unchanged(row) else "")
        elif row.kind == "calls" and margins.calls is not None:
            constant = isinstance(row.evidence, TextEvidence) and np.ptp(row.evidence.differences) == 0
            exact = ""
            if constant:
                many = "so many more" if (row.change or 0.0) > 0 else "so many fewer" if row.change else "as many"
                exact = f"calls are counted, and every text took {many}"
            row = row if constant else by_batch(pair, row)
            yield GatedRow(entry, row, margins.calls.of(row.a or 0.0), "up", exact)


def by_batch(pair: EntryPair, row: ComparedQuantity) -> ComparedQuantity:
    """The row of calls with a difference for each batch, whose texts share their calls: they are one observation."""
    if not isinstance(row.evidence, TextEvidence):
        return row
    ours, theirs = (_calls(entry) for entry in (pair.a, pair.b))
    batches = [timing.ids for timing in pair.a.cells[0].record.timings if timing.kind == "batch"]
    apart = [
        float(np.mean([theirs[key] - ours[key] for key in shared]))
        for ids in dict.fromkeys(batches)
        if (shared := [key for key in ids if key in ours and key in theirs])
    ]
    evidence = replace(row.evidence, differences=np.array(apart)) if apart else row.evidence
    return replace(row, evidence=evidence, n=len(apart) or row.n, covers="batches" if apart else row.covers)


def _calls(entry: SideEntry) -> dict[str, float]:
    """The calls of the first network for each text, a mean over seeds."""
    found: dict[str, list[float]] = {}
    for cell in entry.cells:
        first = next(iter(cell.header.networks), "")
        for sample in cell.record.samples:
            found.setdefault(sample.id, []).append(float(sample.calls.get(first, 0)))
    return {key: math.fsum(counts) / len(counts) for key, counts in found.items()}


def worse_of(direction: Direction) -> Literal["up", "down"]:
    """The bad direction of what is better in the other."""
    return "up" if direction == "lower" else "down"


def is_unchanged(row: ComparedQuantity) -> bool:
    """Whether a value, and that of each text, is the same."""
    if isinstance(row.evidence, TextEvidence):
        return not row.evidence.differences.any()
    return row.a == row.b


def same_texts(pair: EntryPair) -> bool:
    """Whether both sides kept their texts, and they are the same for every seed."""
    sides = [[[(s.id, s.text) for s in cell.record.samples] for cell in entry.cells] for entry in (pair.a, pair.b)]
    return all(map(all, sides)) and sides[0] == sides[1]


def _sameness(pair: EntryPair) -> str:
    """Why a score that is the same on both sides is not so by chance; "" where it may be."""
    if same_texts(pair):
        return _SAME
    floors = not any(cell.header.networks for side in (pair.a, pair.b) for cell in side.cells)
    return _FLOOR if floors else ""


def _finding(gated: GatedRow, factor: float, command: str) -> GateFinding:
    row, sign = gated.row, 1.0 if gated.worse == "up" else -1.0

    def found(outcome: Literal["pass", "regression", "cannot judge"], why: str) -> GateFinding:
        return GateFinding(
            gated.entry.name,
            gated.entry.cells_b,
            "calls" if row.kind == "calls" else "quality",
            row.title,
            outcome,
            why,
            baseline=row.a,
            now=row.b,
            change=row.change,
            low=None if gated.exact else row.low,
            high=None if gated.exact else row.high,
            margin=sign * gated.margin,
            command=command,
        )

    if gated.exact:
        within = sign * (row.change or 0.0) <= gated.margin
        return found("pass" if within else "regression", gated.exact)
    if row.evidence is None:
        return found("cannot judge", row.reason or "nothing can be told")
    loss, significant = loss_of(row.evidence, gated.worse), shown(row.evidence, gated.worse, factor)
    outcome = judge(loss, gated.margin, shown=significant)
    if outcome == "pass":
        return found(outcome, f"a loss of {_told(loss.most)} or more is ruled out")
    if outcome == "regression":
        return found(outcome, "it is worse, and not within the margin")
    most = "of any size" if math.isinf(loss.most) else f"of up to {_told(loss.most)}"
    return found(
        outcome, f"{row.n} {row.covers or 'texts'} do not rule out a loss {most}; gate --plan says how many do"
    )


def _told(loss: float) -> str:
    return f"{max(0.0, loss):.3g}"


def _lost(pair: EntryPair, entry: ComparedEntry, margins: Margins, command: str) -> Iterator[GateFinding]:
    """Metrics of the baseline that are not compared: each with the reason, where there is one."""
    compared = {row.quantity for row in entry.quantities}
    reasons = {name: rest for name, _, rest in (refusal.partition(": ") for refusal in entry.refused)}
    for metric in margins_of(pair.a, margins):
        if metric not in compared:
            why = reasons.get(metric, "the baseline has it, and this run was not scored by it")
            yield GateFinding(entry.name, entry.cells_b, "quality", metric, "cannot judge", why, command=command)
