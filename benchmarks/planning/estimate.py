"""What a plan will cost, from earlier records of the same run or, failing those, from the budgets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from baselines.contract import HasLikelihood, Limits
from benchmarks.planning import step_times
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import store
from benchmarks.records.schema import LikelihoodRecord, Record, TimingRecord, identity
from benchmarks.timing.clock import Clock
from cosmos.io.counting import counted


@dataclass(frozen=True)
class CostEstimate:
    """From this run: measured seconds of training and of generating one cell; seconds of the likelihoods that the cells
    of a checkpoint share, worked out from those; bytes of the checkpoint and of the cell."""

    fit_seconds: float
    generate_seconds: float
    likelihood_seconds: float
    checkpoint_bytes: int
    cell_bytes: int


def measured(plan: Plan) -> dict[str, CostEstimate]:
    """The cost of each system that has a finished cell in the run's folder; the last one counts."""
    if store.read_plan(plan.folder) is None:
        return {}
    return {
        record.header.cell.system: _cost(plan.folder, record)
        for record in store.read_run(plan.folder)
        if store.is_generated(store.cell_folder(plan.folder, record.header.cell.id))
    }


def sentences(plan: Plan) -> Iterator[str]:
    """The estimate in words, with what it rests on."""
    costs = measured(plan)
    cells = [p for p in plan.cells if not store.is_generated(store.cell_folder(plan.folder, p.cell.id))]
    checkpoints = {
        p.cell.checkpoint_id: p for p in cells if not store.fit_file(plan.folder, p.cell.checkpoint_id).exists()
    }
    yield f"{counted(len(plan.cells), 'cell')}, {len(cells)} to do; {counted(len(checkpoints), 'checkpoint')} to make."
    if not cells:
        return
    seconds, size, bases, unknown = 0.0, 0, set(), set()
    for planned in checkpoints.values():
        cost = costs.get(planned.cell.system)
        if cost is not None:
            seconds, size = seconds + cost.fit_seconds, size + cost.checkpoint_bytes
            bases.add(_RECORDS)
        elif planned.contestant.budget is not None:
            guess, basis = _from_budget(planned, plan.task.limits)
            seconds += guess or 0.0
            bases |= set() if guess is None else {basis}
            unknown |= {f"training {planned.cell.system}"} if guess is None else set()
    for planned in cells:
        cost = costs.get(planned.cell.system)
        if cost is not None:
            seconds, size = seconds + cost.generate_seconds, size + cost.cell_bytes
            bases.add(_RECORDS)
        elif planned.contestant.system.trained:
            unknown.add(f"generating with {planned.cell.system}")
    for planned in {p.cell.checkpoint_id: p for p in cells}.values():  # worked out once for the cells of a checkpoint
        cost = costs.get(planned.cell.system)
        if cost is not None:
            seconds += cost.likelihood_seconds
        elif planned.contestant.system.trained and issubclass(planned.contestant.system, HasLikelihood):
            unknown.add(f"likelihoods by {planned.cell.system}")
    said = f", {size / 1e6:.0f} MB" if size else ""
    basis = " and ".join(sorted(bases)) or "nothing that takes time"
    yield f"Estimate: {seconds / 60:.1f} minutes{' at least' if unknown else ''}{said}, from {basis}."
    if unknown:
        disk = "" if size else ", and disk"
        yield f"Not in it, for lack of an earlier record in this run: {', '.join(sorted(unknown))}{disk}."


_RECORDS = "earlier records of this run"


def _from_budget(planned: PlannedCell, limits: Limits) -> tuple[float | None, str]:
    """Seconds of training, as far as the budget says, and what that rests on."""
    budget, cell = planned.contestant.budget, planned.cell
    assert budget is not None
    if budget.unit == "seconds":
        return budget.amount, "budgets in seconds"
    if budget.unit == "flops":
        rate = _flops_per_second(cell.device)
        return (
            budget.amount / rate,
            f"budgets in FLOPs at {rate / 1e9:.0f} GFLOP/s, which a small matrix product reaches",
        )
    key = identity([cell.system, cell.recipe, cell.device, limits.source_tokens, limits.target_tokens])
    if key not in _STEP_SECONDS:
        _STEP_SECONDS[key] = step_times.of(planned.contestant, limits, cell.device)
    seconds = _STEP_SECONDS[key]
    return None if seconds is None else budget.amount * seconds, "budgets in steps, a few of which were timed"


_STEP_SECONDS: dict[str, float | None] = {}  # by all that decides it, so that seeds and settings share it


@cache
def _flops_per_second(device: str) -> float:
    """The best of a few products of the sizes a nano model has; training is rather slower than faster."""
    import torch

    rows, width, hidden, repeats = 1600, 128, 512, 20
    a, b = torch.ones(rows, width, device=device), torch.ones(width, hidden, device=device)
    clock, best = Clock(device), math.inf
    for _ in range(5):
        started = clock.now()
        for _ in range(repeats):
            torch.mm(a, b)
        best = min(best, clock.now() - started)
    return 2.0 * rows * width * hidden * repeats / best


def _cost(run: Path, record: Record) -> CostEstimate:
    training = record.header.training
    cell = record.header.cell
    return CostEstimate(
        fit_seconds=0.0 if training is None else training.seconds,
        generate_seconds=sum(timing.seconds for timing in record.timings),
        likelihood_seconds=likelihood_seconds(
            record.timings, store.read_likelihoods(store.cell_folder(run, cell.id)) or ()
        ),
        checkpoint_bytes=_bytes(store.checkpoint_folder(run, cell.checkpoint_id)),
        cell_bytes=_bytes(store.cell_folder(run, cell.id)),
    )


def likelihood_seconds(timings: Iterable[TimingRecord], likelihoods: Iterable[LikelihoodRecord]) -> float:
    """About what likelihoods took, which nobody times.

    An exact one is a pass of the network over the text, an estimated bound as many as it has draws. A pass is taken to
    cost for each text what a call costs in the batches that were timed, all networks together.
    """
    batches = [timing for timing in timings if timing.kind == "batch"]
    calls = sum(len(timing.ids) * sum(timing.calls.values()) for timing in batches)
    if not calls:  # as of a floor, which has no network
        return 0.0
    passes = sum(max(1, likelihood.draws) for likelihood in likelihoods)
    return passes * sum(timing.seconds for timing in batches) / calls


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
