"""Speed of two runs: A and B timed in turns where the baseline's code can be had, else by what both runs recorded.

A slowdown counts where a test says so, it is larger than what the same code differs from itself by, and both hold again
in fresh processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from baselines.contract import UserError
from benchmarks.planning.gate_margins import Margin
from benchmarks.records import environment, run_texts, store
from benchmarks.records.schema import Header, Json
from benchmarks.running import fitting
from benchmarks.running.seeds import request_seed
from benchmarks.stats.evidence import StudentEvidence
from benchmarks.tracking.gate import code_trees, side_process
from benchmarks.tracking.gate.code_trees import CodeTree
from benchmarks.tracking.gate.interleaving import AGAIN, A, B, Design, Rounds, interleaved
from benchmarks.tracking.gate.noninferiority import judge, loss_of, shown
from benchmarks.tracking.gate.side_process import Side, TimingJob
from benchmarks.tracking.gate.verdict import Finding
from benchmarks.tracking.pairs import EntryPair
from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity
from benchmarks.tracking.sides import StoredCell
from benchmarks.tracking.speed import LATENCY, THROUGHPUT

WIDENED = 2.0
"""Unless the user says a margin, it is at least so many times the A/A floor: on a loud machine 5 % cannot be seen."""

StartSide = Callable[[TimingJob], AbstractContextManager[Side]]


@dataclass(frozen=True)
class Timing:
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


def sizes_of(pair: EntryPair) -> tuple[int, ...]:
    """The numbers of texts at once that are timed: those of a batch, and one alone."""
    count = int(pair.a.header.documents["test"]["count"])
    return tuple(dict.fromkeys((min(count, pair.a.header.batch_size, pair.b.header.batch_size), 1)))


def findings(pair: EntryPair, entry: ComparedEntry, timing: Timing) -> Iterator[Finding]:
    """What is found of the speed of an entry."""
    if same_code(pair.a.header, pair.b.header):
        yield Finding(entry.name, entry.cells_b, "speed", "speed", "pass", "both runs were made by the same code")
        return
    try:
        with jobs(pair) as (a, b):
            yield from _timed(entry, a, b, timing)
    except UserError as error:
        yield from _from_records(entry, str(error), timing)


def same_code(a: Header, b: Header) -> bool:
    """Whether nothing that decides a speed differs between the code of two cells, as far as it is known."""
    known = a.commit is not None and a.commit == b.commit and not a.dirty and not b.dirty
    return known and a.packages == b.packages and a.cell.id == b.cell.id


@contextmanager
def jobs(pair: EntryPair) -> Iterator[tuple[TimingJob, TimingJob]]:
    """What both sides generate, with the code of each laid out for as long as the block lasts.

    Raises:
        UserError: code, checkpoint or documents of a side cannot be had.
    """
    a, b = pair.a.cells[0], pair.b.cells[0]
    shared = a.header.cell.checkpoint_id == b.header.cell.checkpoint_id
    homes = [a.run, b.run]
    checkpoints = [checkpoint(a, homes if shared else homes[:1]), checkpoint(b, homes if shared else homes[1:])]
    with ExitStack() as stack:
        trees = [_tree(a.header, "The baseline", stack), _tree(b.header, "The run", stack)]
        sizes = sizes_of(pair)
        asked = requests(pair, max(sizes))
        limits = _limits(a.run)
        first, second = (
            TimingJob(tree, cell.header.cell, folder, limits, asked, sizes)
            for tree, cell, folder in zip(trees, (a, b), checkpoints, strict=True)
        )
        yield first, second


def _tree(header: Header, whose: str, stack: ExitStack) -> CodeTree:
    """The code that generated a cell."""
    commit, dirty = environment.commit()
    if header.commit is not None and header.commit == commit and bool(header.dirty) == bool(dirty):
        return code_trees.at_work(commit, dirty)
    if header.commit is None:
        raise UserError(f"{whose} does not say which commit made it.")
    if header.dirty:
        raise UserError(
            f"{whose} was made by commit {code_trees.short(header.commit)} with uncommitted changes, so its code "
            "cannot be had again; commit before you make a run that others are compared with."
        )
    return stack.enter_context(code_trees.checked_out(header.commit))


def checkpoint(cell: StoredCell, homes: Sequence[Path]) -> Path:
    """The folder of a cell's checkpoint, in the first of some runs that has it, whole.

    Raises:
        UserError: none has.
    """
    identity = cell.header.cell.checkpoint_id
    for home in homes:
        if store.fit_file(home, identity).exists() and store.checkpoint_folder(home, identity).is_dir():
            fitting.check_files(home, identity)
            return store.checkpoint_folder(home, identity).resolve()
    raise UserError(f"The checkpoint {identity} of {cell.header.cell.system} is not in {homes[0]}.")


def requests(pair: EntryPair, count: int) -> list[Json]:
    """The first requests of the baseline, as they were asked."""
    cell, about = pair.a.cells[0], pair.a.header.documents["test"]["sha256"]
    home = next((c.run for c in (cell, pair.b.cells[0]) if run_texts.has_documents(c.run, about)), cell.run)
    limit = _limits(cell.run)["target_tokens"]
    return [
        {"id": d.id, "source": d.source, "seed": request_seed(cell.header.cell.seed, d.id), "max_tokens": limit}
        for d in run_texts.read_documents(home, about)[:count]
    ]


def _limits(run: Path) -> dict[str, int]:
    plan = store.read_plan(run)
    limits = {} if plan is None else plan["task"].get("limits", {})
    if not {"source_tokens", "target_tokens"} <= limits.keys():
        raise UserError(f"The plan of {run} does not say how long texts may be.")
    return {name: int(limits[name]) for name in ("source_tokens", "target_tokens")}


def _timed(entry: ComparedEntry, a: TimingJob, b: TimingJob, timing: Timing) -> Iterator[Finding]:
    """A and B in turns, and again in fresh processes where something is flagged."""
    sides = {name: partial(timing.start, job) for name, job in ((A, a), (B, b), (AGAIN, a))}
    first = interleaved(sides, a.sizes, timing.design, timing.clock)
    flagged = [size for size in a.sizes if _flagged(first, size, timing.tests)]
    second = interleaved(sides, a.sizes, timing.design, timing.clock) if flagged else Rounds()
    both = first + second
    for size in a.sizes:
        confirmed = size in flagged and _flagged(second, size, timing.tests)
        yield _judged(entry, both, size, timing, confirmed, again=bool(flagged), code=(a.tree.name, b.tree.name))


def _flagged(rounds: Rounds, size: int, tests: int) -> bool:
    """Whether B is slower than A by a test, and by more than A is than itself."""
    ratio = rounds.ratio(size)
    return shown(ratio, "up", float(tests)) and ratio.change - 1 > rounds.floor(size)


def _judged(
    entry: ComparedEntry,
    rounds: Rounds,
    size: int,
    timing: Timing,
    confirmed: bool,
    *,
    again: bool,
    code: tuple[str, str],
) -> Finding:
    ratio, floor = rounds.ratio(size), rounds.floor(size)
    margin = timing.margin.amount if timing.margin.stated else max(timing.margin.amount, WIDENED * floor)
    loss, limits = loss_of(ratio, "up"), ratio.interval()
    outcome = judge(loss, margin, shown=confirmed)
    how = f"{len(rounds.blocks)} processes of each took turns for {rounds.rounds} rounds"
    noise = f"the same code differs from itself by up to {floor:.1%}"
    said = {
        "pass": f"{how}; a slowdown of {max(0.0, loss.most):.1%} is ruled out, what is less is too small to see",
        "regression": f"{code[1]} is slower than {code[0]}, in fresh processes too: {how}; {noise}",
        "cannot judge": f"{how}, which do not rule out a slowdown of {loss.most:.1%}; {noise}; time more --processes",
    }[outcome]
    if again and not confirmed:
        said += "; what was flagged at first was not in fresh processes"
    seconds = rounds.seconds(A, size), rounds.seconds(B, size)
    told = tuple(_value(size, each) for each in seconds)
    finding = Finding(entry.name, entry.cells_b, "speed", quantity(size), outcome, said, told[0], told[1])
    low, high = (None, None) if limits is None else (limits.low, limits.high)
    return replace(
        finding, change=ratio.change, low=low, high=high, margin=1 + margin, ratio=True, command=timing.command
    )


def quantity(size: int) -> str:
    """The name of a speed with so many texts at once, as comparisons have it."""
    return LATENCY if size == 1 else f"{THROUGHPUT}@{size}"


def _value(size: int, seconds: float) -> float:
    """Milliseconds of a text alone, or texts per second."""
    return 1000 * seconds if size == 1 else size / seconds


def _from_records(entry: ComparedEntry, why_not: str, timing: Timing) -> Iterator[Finding]:
    """What both runs recorded, where the code of one cannot be timed: only machines of one class are compared."""
    rows = [row for row in entry.quantities if row.kind == "speed"]
    if not rows:
        reasons = [refusal for refusal in entry.refused if refusal.startswith(("speed:", LATENCY, THROUGHPUT))]
        reason = (
            f"{why_not.rstrip('.')}, and the records cannot be compared: {'; '.join(reasons) or 'a run was not timed'}"
        )
        yield Finding(entry.name, entry.cells_b, "speed", "speed", "cannot judge", reason, command=timing.command)
    for row in rows:
        yield _recorded(entry, row, why_not, timing)


def _recorded(entry: ComparedEntry, row: ComparedQuantity, why_not: str, timing: Timing) -> Finding:
    """A row of the comparison. A slowdown in records is told, but does not count: it cannot be timed again."""
    found = Finding(entry.name, entry.cells_b, "speed", row.title, "cannot judge", row.reason or "", row.a, row.b)
    if not isinstance(row.evidence, StudentEvidence):
        return replace(found, why=f"{why_not.rstrip('.')}; {found.why or 'nothing is known of the spread'}")
    ratio = in_seconds(row, row.evidence)
    loss, limits = loss_of(ratio, "up"), ratio.interval()
    outcome = judge(loss, timing.margin.amount, shown=False)
    if outcome == "pass":
        why = f"by the records, which rule out a slowdown of {max(0.0, loss.most):.1%}"
    elif shown(ratio, "up", float(timing.tests)):
        why = f"slower by the records, but it cannot be timed again: {why_not}"
    else:
        most = "of any size" if math.isinf(loss.most) else f"of {loss.most:.1%}"
        why = f"the records do not rule out a slowdown {most}, and it cannot be timed again: {why_not}"
    low, high = (None, None) if limits is None else (limits.low, limits.high)
    sized = replace(found, change=ratio.change, low=low, high=high, margin=1 + timing.margin.amount, ratio=True)
    return replace(sized, outcome=outcome, why=why, command=timing.command)


def in_seconds(row: ComparedQuantity, evidence: StudentEvidence) -> StudentEvidence:
    """The ratio of seconds, where the row has that of texts per second."""
    return evidence if row.direction == "lower" else replace(evidence, mean=-evidence.mean)
