"""Timing in processes of their own: what a process happens to get (addresses, a compiler's choices) is met anew.

For numbers that are published. Each process loads all systems of a sitting, warms them up, and lets them take turns
with requests that nobody asked before; what it makes is not scored. The texts that are come from the first process.
"""

from __future__ import annotations

import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.planning.run_config import Choices
from benchmarks.records.files import Appender, read_lines
from benchmarks.records.schema import TimingRecord, timing_from_json
from benchmarks.running.seating import PROCESSES

if TYPE_CHECKING:
    from benchmarks.running.timed_again import TimedAgain

_FILE = "timings-of-process-{}-{}.jsonl"  # by the first cell, for other cells of the run may be timed at the same time

Sizes = Mapping[str, Sequence[int]]  # cell id -> numbers of texts at once, that of the run first


def measured(
    choices: Choices, device: str, sizes: Sizes, folder: Path, say: Callable[[str], None]
) -> dict[str, list[TimingRecord]]:
    """Time cells in further processes, one after the other; by cell, what each of them timed.

    A process that does not come to its end is said, and what it timed counts for nothing.
    """
    found: dict[str, list[TimingRecord]] = defaultdict(list)
    for process in range(1, PROCESSES + 1):
        path = folder / _FILE.format(process, next(iter(sizes)))
        path.unlink(missing_ok=True)
        child = multiprocessing.get_context("spawn").Process(
            target=measure, args=(choices, device, dict(sizes), process, path), daemon=True
        )
        child.start()
        child.join()
        if child.exitcode == 0:
            for number, row in enumerate(read_lines(path), start=1):
                found[row["cell"]].append(timing_from_json(row["timing"], f"Line {number} of {path}"))
        else:
            say(f"process {process} of {PROCESSES} that time again ended with exit code {child.exitcode}")
        path.unlink(missing_ok=True)
    return found


def measure(choices: Choices, device: str, sizes: Sizes, process: int, out: Path) -> None:
    """What such a process does: it writes lines with a cell's id and a timing."""
    from benchmarks.planning import plan as plans
    from benchmarks.running.timed_again import timed_again

    plan = plans.make(choices, device)
    cells: list[TimedAgain] = timed_again(plan, sizes, process)
    calls = max(cell.conditions.protocol.calls for cell in cells)
    with Appender(out) as rows:
        for turn in range(calls):
            for cell in cells if (turn + process) % 2 == 0 else reversed(cells):
                rows.append({"cell": cell.id, "timing": vars(timing)} for timing in cell.take_turn(turn, calls))
