"""Speed of two runs: A and B timed in turns where the baseline's code can be had, else by what both runs recorded.

A slowdown counts where a test says so, in fresh processes once more, and it is not ruled out that it is as large as the
margin: 5 % or, where a machine cannot show as little, its A/A noise floor.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from baselines.contract import UserError
from benchmarks.planning.gate_margins import Margin
from benchmarks.records import environment
from benchmarks.records.schema import Header
from benchmarks.stats.evidence import ChangeEvidence, StudentEvidence
from benchmarks.timing import noise_floor
from benchmarks.timing.noise_floor import QuantityFloor
from benchmarks.tracking.gate import retiming, side_process
from benchmarks.tracking.gate.interleaving import AGAIN, A, B, Design, Turns, taken
from benchmarks.tracking.gate.noninferiority import Loss, judge, loss_of, shown
from benchmarks.tracking.gate.side_process import StartSide, TimingJob
from benchmarks.tracking.gate.timing_jobs import jobs
from benchmarks.tracking.gate.verdict import GateFinding
from benchmarks.tracking.pairs import EntryPair
from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity
from benchmarks.tracking.speed import LATENCY, THROUGHPUT


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


def floor_name(title: str) -> str:
    """The name that noise floors have for a speed."""
    return title.partition("@")[0]


def stored_floors(device: str) -> Mapping[str, QuantityFloor]:
    """The A/A floors of this machine by quantity; none where they were not measured (`doctor --timing`), or where the
    device, that of a record perhaps, is not there."""
    if not is_here(device):
        return {}
    kept = noise_floor.here(device)
    return {} if kept is None else kept.quantities


def is_here(device: str) -> bool:
    """Whether this machine has a device."""
    try:
        environment.find_device(device)
    except UserError:
        return False
    return True


def findings(pair: EntryPair, entry: ComparedEntry, rules: SpeedRules) -> Iterator[GateFinding]:
    """What is found of the speed of an entry."""
    if same_code(pair.a.header, pair.b.header):
        yield GateFinding(entry.name, entry.cells_b, "speed", "speed", "pass", "both runs were made by the same code")
        return
    try:
        _check_device(pair)
        with jobs(pair) as (a, b):
            found = list(timed(entry, a, b, rules))
    except UserError as error:
        found = list(_from_records(pair, entry, str(error), rules))
    yield from found


def _check_device(pair: EntryPair) -> None:
    """Raise `UserError` for a device that this machine does not have."""
    for device in (side.header.cell.device for side in (pair.a, pair.b)):
        if not is_here(device):
            raise UserError(f"This machine does not have the device {device} of the records.")


def timed(entry: ComparedEntry, a: TimingJob, b: TimingJob, rules: SpeedRules) -> Iterator[GateFinding]:
    """A and B in turns, and again in fresh processes where something is flagged."""
    floors = stored_floors(a.cell.device)
    known = all(floor_name(quantity(size)) in floors for size in a.sizes)
    jobs_of = {A: a, B: b} if known else {A: a, B: b, AGAIN: a}
    sides = {name: partial(rules.start, job) for name, job in jobs_of.items()}
    first = taken(sides, a.sizes, rules.design, rules.clock)
    flagged = [size for size in a.sizes if is_flagged(first, size, rules.tests)]
    second = taken(sides, a.sizes, rules.design, rules.clock) if flagged else Turns()
    both = first + second
    for size in a.sizes:
        floor = floors[floor_name(quantity(size))] if known else both.floor(size)
        apart = floor.of(len(both.blocks), max(1, both.rounds // len(both.blocks))) - 1
        confirmed = size in flagged and is_flagged(second, size, rules.tests)
        found = _judged(entry, both, size, rules, confirmed, apart, f"{b.tree.name} is slower than {a.tree.name}")
        if size in flagged and not confirmed:
            found = replace(found, why=f"{found.why}; what was flagged at first was not in fresh processes")
        yield found


def is_flagged(turns: Turns, size: int, tests: int) -> bool:
    """Whether a test says that B is slower than A."""
    return shown(turns.ratio(size), "up", float(tests))


def margin_of(stated: Margin, floor: float) -> float:
    """The share of seconds more that passes: as the user says; else no less than the machine can show."""
    return stated.amount if stated.stated else max(stated.amount, floor)


def widened(stated: Margin, floor: float) -> str:
    """That the margin is more than it would be on a quieter machine, where it is."""
    margin = margin_of(stated, floor)
    if margin <= stated.amount:
        return ""
    return f"; the margin was widened from {stated.amount:.1%} to {margin:.1%}, this machine's A/A noise floor"


def _judged(
    entry: ComparedEntry, turns: Turns, size: int, rules: SpeedRules, confirmed: bool, floor: float, slower: str
) -> GateFinding:
    ratio, margin = turns.ratio(size), margin_of(rules.margin, floor)
    loss = loss_of(ratio, "up")
    outcome = judge(loss, margin, shown=confirmed)
    how = f"{len(turns.blocks)} processes of each took turns for {turns.rounds} rounds"
    noise = f"a slowdown of less than {floor:.1%} is too small to see in so many (A/A noise floor)"
    why = {
        "pass": f"{how}, which rule out a slowdown of {_told(loss)}; {noise}",
        "regression": f"{slower}, in fresh processes too: {how}; {noise}",
        "cannot judge": f"{how}, which do not rule out a slowdown of {_told(loss)}; {noise}; time more --processes",
    }[outcome]
    before, now = (value_of(size, turns.seconds(side, size)) for side in (A, B))
    why += widened(rules.margin, floor)
    found = GateFinding(entry.name, entry.cells_b, "speed", quantity(size), outcome, why, before, now)
    return _sized(found, ratio, margin, rules)


def value_of(size: int, seconds: float) -> float:
    """Milliseconds of a text alone, or texts per second."""
    return 1000 * seconds if size == 1 else size / seconds


def _sized(found: GateFinding, ratio: ChangeEvidence, margin: float, rules: SpeedRules) -> GateFinding:
    limits = ratio.interval()
    low, high = (None, None) if limits is None else (limits.low, limits.high)
    unit = "ms" if found.quantity == LATENCY else "texts/s"
    sized = replace(found, change=ratio.change, low=low, high=high, margin=1 + margin, ratio=True)
    return replace(sized, unit=unit, command=rules.command)


def _told(loss: Loss) -> str:
    return "any size" if math.isinf(loss.most) else f"{max(0.0, loss.most):.1%}"


def _from_records(pair: EntryPair, entry: ComparedEntry, why_not: str, rules: SpeedRules) -> Iterator[GateFinding]:
    """What both runs recorded, where the code of one cannot be timed: only machines of one class are compared."""
    why_not = why_not.rstrip(".")
    rows = [row for row in entry.quantities if row.kind == "speed"]
    refused = [said for said in entry.refused if said.startswith(("speed:", LATENCY, THROUGHPUT))]
    for refusal in refused:
        name, _, reason = refusal.partition(": ")
        why = f"the records cannot be compared ({reason}), and the code cannot be timed: {why_not}"
        yield GateFinding(entry.name, entry.cells_b, "speed", name, "cannot judge", why, command=rules.command)
    if not rows and not refused:
        why = f"a run was not timed, and the code cannot be timed: {why_not}"
        yield GateFinding(entry.name, entry.cells_b, "speed", "speed", "cannot judge", why, command=rules.command)
    for row in rows:
        yield _recorded(pair, entry, row, why_not, rules)


def _recorded(
    pair: EntryPair, entry: ComparedEntry, row: ComparedQuantity, why_not: str, rules: SpeedRules
) -> GateFinding:
    """A row of the comparison; a slowdown counts if it is there again when the code is timed in fresh processes."""
    found = GateFinding(entry.name, entry.cells_b, "speed", row.title, "cannot judge", row.reason or "", row.a, row.b)
    if not isinstance(row.evidence, StudentEvidence):
        return replace(found, why=f"{found.why or 'nothing is known of the spread'}, and {why_not}")
    ratio, floor = in_seconds(row, row.evidence), recorded_floor(pair, row)
    margin = margin_of(rules.margin, floor)
    loss = loss_of(ratio, "up")
    suspected = loss.most >= margin and shown(ratio, "up", float(rules.tests))
    confirmed, more = _again(pair, row, rules) if suspected else (False, "")
    outcome = judge(loss, margin, shown=confirmed)
    why = {
        "pass": f"by the records, which rule out a slowdown of {_told(loss)}",
        "regression": "slower by the records, and in fresh processes too",
        "cannot judge": f"the records do not rule out a slowdown of {_told(loss)}{more}",
    }[outcome]
    why = f"{why} ({why_not}){widened(rules.margin, floor)}"
    return _sized(replace(found, outcome=outcome, why=why), ratio, margin, rules)


def recorded_floor(pair: EntryPair, row: ComparedQuantity) -> float:
    """The A/A floor of the hardware that two runs were timed on, as a share; 0 where it was not measured."""
    kept = noise_floor.read(environment.hardware_class(pair.b.header.device))
    floor = None if kept is None else kept.quantities.get(floor_name(row.title))
    return 0.0 if floor is None else floor.ratio - 1


def _again(pair: EntryPair, row: ComparedQuantity, rules: SpeedRules) -> tuple[bool, str]:
    """Whether what is slower by its records is slower than the baseline's in fresh processes too, and what to say."""
    try:
        _check_device(pair)
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
