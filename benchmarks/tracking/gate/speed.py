"""Speed of two runs: A and B timed in turns where the baseline's code can be had, else by what both runs recorded.

A slowdown counts where a test says so, it is larger than what the same code differs from itself by, and both hold again
in fresh processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from baselines.contract import UserError
from benchmarks.planning.gate_margins import Margin
from benchmarks.records.schema import Header
from benchmarks.stats.evidence import StudentEvidence
from benchmarks.tracking.gate import retiming, side_process
from benchmarks.tracking.gate.interleaving import AGAIN, A, B, Design, Rounds, interleaved
from benchmarks.tracking.gate.noninferiority import Loss, judge, loss_of, shown
from benchmarks.tracking.gate.side_process import StartSide, TimingJob
from benchmarks.tracking.gate.timing_jobs import jobs
from benchmarks.tracking.gate.verdict import Finding
from benchmarks.tracking.pairs import EntryPair
from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity
from benchmarks.tracking.speed import LATENCY, THROUGHPUT

WIDENED = 2.0
"""Unless the user says a margin, it is at least so many times the A/A floor: on a loud machine 5 % cannot be seen."""


@dataclass(frozen=True)
class SpeedRules:
    """How speed is judged.

    Attributes:
        margin: the share of seconds more that passes.
        tests: how many quantities are tested together.
        command: what times an entry again.
    """

    margin: Margin
    design: Design
    tests: int
    command: str
    start: StartSide = side_process.started
    clock: Callable[[], float] = time.monotonic


def is_timed(pair: EntryPair) -> bool:
    """Whether an entry has a speed worth judging: floors run no network."""
    return all(cell.header.networks for side in (pair.a, pair.b) for cell in side.cells)


def same_code(a: Header, b: Header) -> bool:
    """Whether nothing that decides a speed differs between the code of two cells, as far as it is known."""
    known = a.commit is not None and a.commit == b.commit and not a.dirty and not b.dirty
    return known and a.packages == b.packages and a.cell.id == b.cell.id


def quantity(size: int) -> str:
    """The name of a speed with so many texts at once, as comparisons have it."""
    return LATENCY if size == 1 else f"{THROUGHPUT}@{size}"


def findings(pair: EntryPair, entry: ComparedEntry, rules: SpeedRules) -> Iterator[Finding]:
    """What is found of the speed of an entry."""
    if same_code(pair.a.header, pair.b.header):
        yield Finding(entry.name, entry.cells_b, "speed", "speed", "pass", "both runs were made by the same code")
        return
    try:
        with jobs(pair) as (a, b):
            found = list(_timed(entry, a, b, rules))
    except UserError as error:
        found = list(_from_records(pair, entry, str(error), rules))
    yield from found


def _timed(entry: ComparedEntry, a: TimingJob, b: TimingJob, rules: SpeedRules) -> Iterator[Finding]:
    """A and B in turns, and again in fresh processes where something is flagged."""
    sides = {name: partial(rules.start, job) for name, job in ((A, a), (B, b), (AGAIN, a))}
    first = interleaved(sides, a.sizes, rules.design, rules.clock)
    flagged = [size for size in a.sizes if is_flagged(first, size, rules.tests)]
    second = interleaved(sides, a.sizes, rules.design, rules.clock) if flagged else Rounds()
    for size in a.sizes:
        confirmed = size in flagged and is_flagged(second, size, rules.tests)
        found = _judged(entry, first + second, size, rules, confirmed, f"{b.tree.name} is slower than {a.tree.name}")
        if size in flagged and not confirmed:
            found = replace(found, why=f"{found.why}; what was flagged at first was not in fresh processes")
        yield found


def is_flagged(rounds: Rounds, size: int, tests: int) -> bool:
    """Whether B is slower than A by a test, and by more than A is than itself."""
    ratio = rounds.ratio(size)
    return shown(ratio, "up", float(tests)) and ratio.change - 1 > rounds.floor(size)


def margin_of(stated: Margin, floor: float) -> float:
    """The share of seconds more that passes."""
    return stated.amount if stated.stated else max(stated.amount, WIDENED * floor)


def _judged(
    entry: ComparedEntry, rounds: Rounds, size: int, rules: SpeedRules, confirmed: bool, slower: str
) -> Finding:
    ratio, floor = rounds.ratio(size), rounds.floor(size)
    loss, margin = loss_of(ratio, "up"), margin_of(rules.margin, floor)
    outcome = judge(loss, margin, shown=confirmed)
    how = f"{len(rounds.blocks)} processes of each took turns for {rounds.rounds} rounds"
    noise = f"the same code differs from itself by up to {floor:.1%}"
    why = {
        "pass": f"{how}; a slowdown of {max(0.0, loss.most):.1%} is ruled out, what is less is too small to see",
        "regression": f"{slower}, in fresh processes too: {how}; {noise}",
        "cannot judge": f"{how}, which do not rule out a slowdown of {_told(loss)}; {noise}; time more --processes",
    }[outcome]
    before, now = (value_of(size, rounds.seconds(side, size)) for side in (A, B))
    found = Finding(entry.name, entry.cells_b, "speed", quantity(size), outcome, why, before, now)
    return _sized(found, ratio, margin, rules)


def value_of(size: int, seconds: float) -> float:
    """Milliseconds of a text alone, or texts per second."""
    return 1000 * seconds if size == 1 else size / seconds


def _sized(found: Finding, ratio: StudentEvidence, margin: float, rules: SpeedRules) -> Finding:
    limits = ratio.interval()
    low, high = (None, None) if limits is None else (limits.low, limits.high)
    change = {"change": ratio.change, "low": low, "high": high, "margin": 1 + margin}
    unit = "ms" if found.quantity == LATENCY else "texts/s"
    return replace(found, **change, ratio=True, unit=unit, command=rules.command)  # type: ignore[arg-type]


def _told(loss: Loss) -> str:
    return "any size" if math.isinf(loss.most) else f"{max(0.0, loss.most):.1%}"


def _from_records(pair: EntryPair, entry: ComparedEntry, why_not: str, rules: SpeedRules) -> Iterator[Finding]:
    """What both runs recorded, where the code of one cannot be timed: only machines of one class are compared."""
    why_not = why_not.rstrip(".")
    rows = [row for row in entry.quantities if row.kind == "speed"]
    for refusal in (said for said in entry.refused if said.startswith(("speed:", LATENCY, THROUGHPUT))):
        name, _, reason = refusal.partition(": ")
        why = f"the records cannot be compared ({reason}), and the code cannot be timed: {why_not}"
        yield Finding(entry.name, entry.cells_b, "speed", name, "cannot judge", why, command=rules.command)
    if not rows and not entry.refused:
        why = f"a run was not timed, and the code cannot be timed: {why_not}"
        yield Finding(entry.name, entry.cells_b, "speed", "speed", "cannot judge", why, command=rules.command)
    for row in rows:
        yield _recorded(pair, entry, row, why_not, rules)


def _recorded(pair: EntryPair, entry: ComparedEntry, row: ComparedQuantity, why_not: str, rules: SpeedRules) -> Finding:
    """A row of the comparison; a slowdown counts if it is there again when the code is timed in fresh processes."""
    found = Finding(entry.name, entry.cells_b, "speed", row.title, "cannot judge", row.reason or "", row.a, row.b)
    if not isinstance(row.evidence, StudentEvidence):
        return replace(found, why=f"{found.why or 'nothing is known of the spread'}, and {why_not}")
    ratio = in_seconds(row, row.evidence)
    loss, suspected = loss_of(ratio, "up"), shown(ratio, "up", float(rules.tests))
    confirmed, more = _again(pair, row, rules) if suspected and loss.most >= rules.margin.amount else (False, "")
    outcome = judge(loss, rules.margin.amount, shown=confirmed)
    why = {
        "pass": f"by the records, which rule out a slowdown of {_told(loss)}",
        "regression": "slower by the records, and in fresh processes too",
        "cannot judge": f"the records do not rule out a slowdown of {_told(loss)}{more}",
    }[outcome]
    return _sized(replace(found, outcome=outcome, why=f"{why} ({why_not})"), ratio, rules.margin.amount, rules)


def _again(pair: EntryPair, row: ComparedQuantity, rules: SpeedRules) -> tuple[bool, str]:
    """Whether what is slower by its records is slower than the baseline's in fresh processes too, and what to say."""
    try:
        with jobs(pair, "b") as (job,):
            again = retiming.against_records(pair.a.cells[0], job, row.size or 1, rules.design, rules.start)
    except UserError as error:
        return False, f"; it was slower, which could not be timed again: {str(error).rstrip('.')}"
    if again is None:
        return False, "; it was slower, but the baseline has no calls that could be timed again"
    if shown(again, "up", float(rules.tests)):
        return True, ""
    return False, "; it was slower, but not in fresh processes"


def in_seconds(row: ComparedQuantity, evidence: StudentEvidence) -> StudentEvidence:
    """The ratio of seconds, where the row has that of texts per second."""
    return evidence if row.direction == "lower" else replace(evidence, mean=-evidence.mean)
