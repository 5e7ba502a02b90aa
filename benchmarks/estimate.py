"""What a plan will cost, from earlier records of the same run or, failing those, from the budgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import store
from benchmarks.plan import Plan, PlannedCell
from benchmarks.records import Record
from benchmarks.runner import is_generated


@dataclass(frozen=True)
class Cost:
    """Measured in this run: seconds of training and of generating one cell, bytes of the checkpoint and of the cell."""

    fit_seconds: float
    generate_seconds: float
    checkpoint_bytes: int
    cell_bytes: int


def measured(plan: Plan) -> dict[str, Cost]:
    """The cost of each system that has a finished cell in the run's folder; the last one counts."""
    if store.read_plan(plan.folder) is None:
        return {}
    return {r.header.cell.system: _cost(plan.folder, r) for r in store.read_run(plan.folder) if is_generated(r.header)}


def sentences(plan: Plan) -> Iterator[str]:
    """The estimate in words, with what it rests on."""
    known = measured(plan)
    cells = [p for p in plan.cells if not is_generated(store.read_header(store.cell_folder(plan.folder, p.cell.id)))]
    checkpoints = {
        p.cell.checkpoint_id: p for p in cells if not store.fit_file(plan.folder, p.cell.checkpoint_id).exists()
    }
    yield f"{len(plan.cells)} cells, {len(cells)} to do; {len(checkpoints)} checkpoints to make."
    seconds, size, unknown = 0.0, 0, set()
    for planned in checkpoints.values():
        cost = known.get(planned.cell.system)
        guess = cost.fit_seconds if cost is not None else _from_budget(planned)
        size += cost.checkpoint_bytes if cost is not None else 0
        seconds += guess or 0.0
        if guess is None:
            unknown.add(planned.cell.system)
    for planned in cells:
        cost = known.get(planned.cell.system)
        if cost is not None:
            seconds, size = seconds + cost.generate_seconds, size + cost.cell_bytes
        elif planned.contestant.system.trained:
            unknown.add(planned.cell.system)
    if not cells:
        return
    basis = "earlier records of this run" if known else "the budgets"
    yield f"Estimate from {basis}: about {seconds / 60:.1f} minutes and {size / 1e6:.0f} MB at least."
    if unknown:
        yield f"Not in it, for there is no earlier record in this run: {', '.join(sorted(unknown))} (in part or whole)."


def _from_budget(planned: PlannedCell) -> float | None:
    """Seconds of training where the budget is in seconds; steps and FLOPs do not say."""
    budget = planned.contestant.budget
    if budget is None:
        return 0.0
    return budget.amount if budget.unit == "seconds" else None


def _cost(run: Path, record: Record) -> Cost:
    training = record.header.training
    cell = record.header.cell
    return Cost(
        fit_seconds=0.0 if training is None else training.seconds,
        generate_seconds=sum(timing.seconds for timing in record.timings),
        checkpoint_bytes=_bytes(store.checkpoint_folder(run, cell.checkpoint_id)),
        cell_bytes=_bytes(store.cell_folder(run, cell.id)),
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
