"""`gate --plan`: what would have to be made and timed for a regression to be seen, from what two runs have."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from benchmarks.planning.gate_margins import Margins
from benchmarks.stats.evidence import ChangeEvidence
from benchmarks.stats.ratios import Spread
from benchmarks.tracking import comparison
from benchmarks.tracking.gate import quality, sizes, speed
from benchmarks.tracking.gate.gating import narrowed
from benchmarks.tracking.gate.interleaving import Design
from benchmarks.tracking.judging import Judge
from benchmarks.tracking.pairs import SideEntry, entries, match
from benchmarks.tracking.quality import scores_of
from benchmarks.tracking.sides import Side

_SIDES = 3  # that take turns: the baseline, the run, and the baseline again
_START_SECONDS = 10.0  # of a process, in which packages are imported and weights are loaded


def plan(
    baseline: Side,
    run: Side | None,
    margins: Margins,
    design: Design,
    minutes: float | None,
    systems: Sequence[str] = (),
) -> Iterator[str]:
    """The texts and rounds that a gate needs, in lines."""
    baseline = narrowed(baseline, systems)
    known = _differences(baseline, run, margins) if run is not None else {}
    gated = [
        (entry, scores_of(entry, metric)[0])
        for entry in entries(baseline)
        if not run_is_trivial(entry)
        for metric in quality.margins_of(entry, margins)
    ]
    judge = Judge()
    tests = max(1, len(gated))
    texts = []
    for entry, score in gated:
        evidence, basis = known.get((entry.name, score.metric)) or sizes.alone(entry, score, judge)
        texts.append(sizes.texts_for(entry.name, score.metric, sizes.points(score), score.n, evidence, tests, basis))
    timed = [entry for entry in entries(baseline) if entry.header.networks]
    processes = [] if margins.speed is None else list(_processes(timed, design, minutes))
    yield from sizes.told(texts, processes)


def run_is_trivial(entry: SideEntry) -> bool:
    """Whether an entry is a floor, whose texts are the same in every run."""
    return not entry.header.networks


def _differences(baseline: Side, run: Side, margins: Margins) -> dict[tuple[str, str], tuple[ChangeEvidence, str]]:
    """What a comparison of both runs knows of the spread of differences, where there is one."""
    pairs, _ = match(baseline, run)
    metrics = list(quality.gated_metrics(pairs, margins))
    return {
        (pair.a.name, row.quantity): (row.evidence, "both runs")
        for pair, entry in zip(pairs, comparison.compare(baseline, run).entries, strict=True)
        for row in entry.quantities
        if row.quantity in metrics and row.evidence is not None and not quality.is_unchanged(row)
    }


def _processes(timed: Sequence[SideEntry], design: Design, minutes: float | None) -> Iterator[sizes.NeededProcesses]:
    kinds = [(entry, size) for entry in timed for size in dict.fromkeys((entry.header.batch_size, 1))]
    for entry, size in kinds:
        spread, basis = _spread(entry, size)
        needed = None if spread is None else sizes.processes_for(spread, design.rounds, len(kinds))
        given = design.processes if minutes is None else _fitting(entry, design.rounds, 60 * minutes / len(timed))
        shown = None if spread is None or given < 2 else sizes.visible(spread, given, design.rounds, len(kinds))
        yield sizes.NeededProcesses(entry.name, speed.quantity(size), design.rounds, needed, given, shown, basis)


def _spread(entry: SideEntry, size: int) -> tuple[Spread | None, str]:
    """The spread of ratios on this machine, by its A/A floor where that was measured, or by the baseline's timings."""
    floor = speed.stored_floors(entry.header.cell.device).get(speed.floor_name(speed.quantity(size)))
    if floor is not None:
        return floor.spread, "the A/A floor of this machine"
    return sizes.spread_between(_seconds(entry, size))


def _seconds(entry: SideEntry, size: int) -> list[list[float]]:
    """Logarithms of the seconds of calls for so many texts, of each process."""
    kind = "latency" if size == 1 else "batch"
    by_process: dict[tuple[str, int], list[float]] = {}
    for cell in entry.cells:
        whole = max((len(t.ids) for t in cell.record.timings if t.kind == kind), default=0)
        for timing in cell.record.timings:
            if timing.kind == kind and len(timing.ids) == whole and timing.seconds > 0:
                process = (cell.header.cell.id, int(getattr(timing, "process", 0)))
                by_process.setdefault(process, []).append(math.log(timing.seconds))
    return list(by_process.values())


def _fitting(entry: SideEntry, rounds: int, seconds: float) -> int:
    """How many processes of each side fit into a time, twice: what is flagged is timed again."""
    of_round = sum(math.exp(statistics.mean(logs)) for size in (2, 1) for logs in _seconds(entry, size)[:1])
    warm = float(entry.header.verdict.get("warm_up_seconds", 0.0))
    return int(seconds / (2 * _SIDES * (_START_SECONDS + warm + rounds * of_round)))
