"""The cells of a plan for other schedulers: one JSON line each, with its commands and what these need."""

from __future__ import annotations

import dataclasses
import difflib
import shlex
from collections.abc import Iterator, Mapping

from baselines.contract import UserError
from benchmarks.planning import estimate, plan_file
from benchmarks.planning.estimate import CostEstimate
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import store
from benchmarks.records.schema import Json

_SHORTEST = 4  # digits by which a cell may be named
_LONGEST = 16  # that an id has


def find(plan: Plan, typed: str) -> PlannedCell:
    """The cell of a plan whose id is given, or the first digits of it.

    Raises:
        UserError: no cell of the plan begins so, or several do.
    """
    found = [planned for planned in plan.cells if planned.cell.id.startswith(typed)]
    if len(typed) < _SHORTEST:
        raise UserError(f"--cell takes at least the first {_SHORTEST} digits of a cell's id, not '{typed}'.")
    if not found:
        raise UserError(
            f"No cell of these flags has the id {typed}; {_nearest(plan, typed)}`plan` with the same flags shows those "
            "there are (--device is one of them)."
        )
    if len(found) > 1:
        raise UserError(f"{len(found)} cells have ids that begin with {typed}; give more digits.")
    return found[0]


def _nearest(plan: Plan, typed: str) -> str:
    """The ids that begin much as what was typed, with what they are."""
    begin = {each.cell.id[: len(typed)]: each.cell for each in plan.cells}
    near = difflib.get_close_matches(typed, begin, n=3, cutoff=0.7) if len(typed) <= _LONGEST else []
    named = [f"{cell.id} ({cell.system} {cell.setting})" for cell in (begin[each] for each in near)]
    return f"did you mean {' or '.join(named)}? " if named else ""


def state_of(plan: Plan, planned: PlannedCell) -> str:
    """What has become of a cell: to do, started, done or failed."""
    folder = store.cell_folder(plan.folder, planned.cell.id)
    header = store.read_header(folder)
    return "to do" if header is None else "done" if store.is_generated(folder) else header.status


def lines(plan: Plan) -> Iterator[Json]:
    """What is to be known of each cell by who runs it.

    `commands` has one for each stage and `run` for all of them; all are for the folder in which `plan` was called. A
    checkpoint is trained once: `needs.after` is the cell whose `fit` or `run` is to come to its end before, None for
    the first cell of each checkpoint. `seconds` and `bytes` are those of earlier records of this run, null where there
    is none.
    """
    costs = estimate.measured(plan)
    first: dict[str, str] = {}
    for planned in plan.cells:
        cell = planned.cell
        trainer = first.setdefault(cell.checkpoint_id, cell.id)
        yield {
            "cell": cell.id,
            "system": cell.system,
            "preset": cell.preset,
            "setting": cell.setting,
            "seed": cell.seed,
            "budget": cell.budget,
            "state": state_of(plan, planned),
            "trained": store.fit_file(plan.folder, cell.checkpoint_id).exists(),
            "commands": {verb: command(plan, planned, verb) for verb in ("run", "fit", "generate")},
            "needs": {
                "device": cell.device,
                "gpus": max(1, len(cell.devices)) if cell.device.startswith("cuda") else 0,
                "checkpoint": cell.checkpoint_id,
                "after": None if trainer == cell.id else trainer,
                **_costs(costs, planned),
            },
        }


def command(plan: Plan, planned: PlannedCell, verb: str) -> str:
    """The command that does one stage of one cell, or all of them (`run`), whatever machine it is given on."""
    choices = dataclasses.replace(plan.choices, device=planned.cell.device)
    words = shlex.split(plan_file.command_of(choices))
    return shlex.join([*words[:3], verb, *words[4:], "--cell", planned.cell.id])


def _costs(costs: Mapping[str, CostEstimate], planned: PlannedCell) -> Json:
    """Seconds and bytes, as far as they are known."""
    cost, budget = costs.get(planned.cell.system), planned.contestant.budget
    if cost is not None:
        return {
            "seconds": {"fit": cost.fit_seconds, "generate": cost.generate_seconds + cost.likelihood_seconds},
            "bytes": {"checkpoint": cost.checkpoint_bytes, "cell": cost.cell_bytes},
        }
    said = budget.amount if budget is not None and budget.unit == "seconds" else None
    return {"seconds": {"fit": said, "generate": None}, "bytes": {"checkpoint": None, "cell": None}}
