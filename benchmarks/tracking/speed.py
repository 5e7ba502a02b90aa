"""Speeds of two entries as ratios B / A, over rounds and processes.

What is repeated decides what an interval is about. Where both sides were timed in several processes, each process is
one observation; else each training seed's timing is, where both sides have three or more; else each round, likewise;
else, as in records before rounds, each timed call, paired by the texts it made. Two processes of one program differ by
more than their rounds do, so the answer says which of these it covers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.records import validity
from benchmarks.records.machine_class import machine_class, unlike
from benchmarks.records.schema import TimingRecord
from benchmarks.stats.evidence import StudentEvidence
from benchmarks.stats.intervals import Array
from benchmarks.tracking.pairs import EntryPair, SideEntry
from benchmarks.tracking.rows import row
from benchmarks.tracking.schema import ComparedQuantity
from benchmarks.tracking.sides import StoredCell

LATENCY, THROUGHPUT = "latency", "throughput"
LEVELS = ("processes", "seeds", "rounds")
FEWEST = 3  # units on a side, below which nothing is known of their spread
PROCESS_DEVIATION = 0.02
"""Assumed, where a side was timed in one process: the standard deviation of the logarithm of mean seconds between
processes of the same code on a quiet machine. It is not measured there, so it is added to what is."""

_ONE_PROCESS = (
    "Timed in one process on a side: how another process of the same code would differ was not measured; "
    f"{100 * PROCESS_DEVIATION:g} % for each side is assumed and added. Several processes on both sides make it a part "
    "of the level."
)


@dataclass(frozen=True)
class PlacedCall:
    """A timed call with where it was made."""

    process: tuple[str, int]  # the run's folder, and the number of the process within
    seed: int
    round: int
    ids: tuple[str, ...]
    seconds: float


def speed_rows(pair: EntryPair) -> tuple[list[ComparedQuantity], list[str]]:
    """The rows of latency and of throughput for each number of texts at once, and what is refused."""
    timed = [{title: calls for title, calls in _calls(entry).items() if calls} for entry in (pair.a, pair.b)]
    if not timed[0] or not timed[1]:
        return [], []
    machines = [machine_class(cell.header) for entry in (pair.a, pair.b) for cell in entry.cells]
    if (reason := unlike(list(dict.fromkeys(machines)))) is not None:
        return [], [f"speed: machine class, {reason}"]
    rows, refused = [], []
    doubtful: dict[str, list[str]] = {}
    for title in dict.fromkeys([*timed[0], *timed[1]]):
        name = _name(title)
        if title not in timed[0] or title not in timed[1]:
            entry = "A" if title not in timed[0] else "B"
            refused.append(f"{name}: not timed on side {entry}")
        elif doubts := _doubts(pair, name):
            doubtful.setdefault(doubts, []).append(name)
        else:
            made = _row(title, timed[0][title], timed[1][title])
            rows.append(replace(made, notes=(*made.notes, *_unknown(pair, name))))
    refused += [f"{', '.join(names)}: not valid, {doubts}" for doubts, names in doubtful.items()]
    return rows, refused


def _doubts(pair: EntryPair, quantity: str) -> str:
    told = [
        f"side {side}: {', '.join(doubts)}"
        for side, entry in (("A", pair.a), ("B", pair.b))
        for cell in entry.cells
        if (doubts := validity.validity(cell.header, quantity).reasons)
    ]
    return "; ".join(dict.fromkeys(told))


def _unknown(pair: EntryPair, quantity: str) -> tuple[str, ...]:
    """A clause on what the verdicts of a side could not look at, one for both where it is the same."""
    told: dict[str, list[str]] = {}
    for side, entry in (("A", pair.a), ("B", pair.b)):
        verdicts = (validity.validity(cell.header, quantity) for cell in entry.cells)
        if what := dict.fromkeys(part for verdict in verdicts for part in verdict.unknown):
            told.setdefault(validity.not_known(tuple(what)), []).append(side)
    return tuple(
        f"{'sides' if len(sides) > 1 else 'side'} {' and '.join(sides)}: {said}" for said, sides in told.items()
    )


def _name(title: tuple[str, int]) -> str:
    return LATENCY if title[0] == LATENCY else f"{THROUGHPUT}@{title[1]}"


def _calls(entry: SideEntry) -> dict[tuple[str, int], list[PlacedCall]]:
    """The calls that count, by quantity and number of texts at once; of the batches only whole ones."""
    found: dict[tuple[str, int], list[PlacedCall]] = {}
    for cell in entry.cells:
        if not cell.header.networks:
            continue  # floors run no network, and have no speed worth giving
        made = cell.header.batch_size
        whole = max((len(t.ids) for t in cell.record.timings if t.kind == "batch"), default=0)
        sizes = (made, *validity.swept(cell.record))
        titles = [(LATENCY, 1), *((THROUGHPUT, size) for size in sizes)]
        names = [validity.LATENCY, *map(validity.throughput, sizes)]
        for title, name in zip(titles, names, strict=True):
            for timing in validity.calls_of(cell.record, name):
                if timing.seconds > 0 and (timing.kind != "batch" or len(timing.ids) == whole):
                    found.setdefault(title, []).append(_call(cell, timing))
    return dict(sorted(found.items()))


def _call(cell: StoredCell, timing: TimingRecord) -> PlacedCall:
    process, number = getattr(timing, "process", 0), getattr(timing, "round", 0)
    return PlacedCall((str(cell.run), process), cell.header.cell.seed, number, timing.ids, timing.seconds)


def _row(title: tuple[str, int], ours: Sequence[PlacedCall], theirs: Sequence[PlacedCall]) -> ComparedQuantity:
    kind, size = title
    level, a, b, paired = _units(ours, theirs)
    sign = 1 if kind == LATENCY else -1  # of seconds, or of texts per second
    n = min(len(a), len(b))
    evidence, reason = None, None
    if level == "calls" and n < FEWEST:
        reason = f"too few: {n} {level} on a side, and {FEWEST} are needed to know how they differ"
    else:
        measured = _variance(a, b, paired)
        whole = measured if level == "processes" else _with_processes(*measured)
        evidence = StudentEvidence(sign * float(b.mean() - a.mean()), *whole, ratio=True)
    return row(
        kind,
        "speed",
        "lower" if kind == LATENCY else "higher",
        (_value(kind, a), _value(kind, b)),
        evidence,
        n=n,
        covers=level,
        unit="ms" if kind == LATENCY else "texts/s",
        size=None if kind == LATENCY else size,
        reason=reason,
        notes=() if level == "processes" or evidence is None else (_ONE_PROCESS,),
    )


def _value(kind: str, units: Array) -> float:
    """What a geometric mean of seconds for a text comes to: milliseconds of one text, or texts per second."""
    seconds = math.exp(float(units.mean()))
    return 1000 * seconds if kind == LATENCY else 1 / seconds


def _with_processes(variance: float, freedom: float) -> tuple[float, float]:
    """Variance and degrees of freedom with what is assumed of processes, which is as if it were known."""
    total = variance + 2 * PROCESS_DEVIATION**2
    return total, freedom * (total / variance) ** 2 if variance > 0 else 1e6


def _variance(a: Array, b: Array, paired: bool) -> tuple[float, float]:
    """Variance and degrees of freedom of the difference of two means: of pairs, or of two samples (Welch 1947)."""
    if paired:
        return float(np.var(b - a, ddof=1)) / len(a), len(a) - 1.0
    parts = [float(np.var(side, ddof=1)) / len(side) for side in (a, b)]
    weights = sum(part**2 / (len(side) - 1) for part, side in zip(parts, (a, b), strict=True))
    total = sum(parts)
    return total, total**2 / weights if weights > 0 else min(len(a), len(b)) - 1.0


def _units(ours: Sequence[PlacedCall], theirs: Sequence[PlacedCall]) -> tuple[str, Array, Array, bool]:
    """What is repeated; the mean logarithm of seconds for a text by repetition, on each side; whether they are pairs.

    Only texts that both sides were timed on count, where there are such, so that long texts are no one's burden.
    """
    shared = {call.ids for call in ours} & {call.ids for call in theirs}
    sides = [[call for call in side if not shared or call.ids in shared] for side in (ours, theirs)]
    for level in LEVELS:
        units = [_grouped(side, level) for side in sides]
        if min(map(len, units)) >= (2 if level == "processes" else FEWEST):  # of processes nothing is assumed then
            return level, _means(units[0]), _means(units[1]), False
    by_ids: list[dict[tuple[str, ...], list[float]]] = [{}, {}]
    for side, groups in zip(sides, by_ids, strict=True):
        for call in side:
            groups.setdefault(call.ids, []).append(_log(call))
    if len(shared) > 1:
        a, b = (np.array([float(np.mean(groups[ids])) for ids in sorted(shared)]) for groups in by_ids)
        return "calls", a, b, True
    a, b = (np.array([_log(call) for call in side]) for side in sides)
    return "calls", a, b, False


def _log(call: PlacedCall) -> float:
    """The logarithm of seconds for a text."""
    return math.log(call.seconds / len(call.ids))


def _grouped(calls: Sequence[PlacedCall], level: str) -> dict[object, list[float]]:
    """Logarithms of seconds by process, by seed, or by round."""
    groups: dict[object, list[float]] = {}
    for call in calls:
        key = {"processes": call.process, "seeds": call.seed, "rounds": call.round}[level]
        groups.setdefault(key, []).append(_log(call))
    return groups


def _means(groups: Mapping[object, Sequence[float]]) -> Array:
    return np.array([math.fsum(logs) / len(logs) for logs in groups.values()])
