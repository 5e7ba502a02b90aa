"""Whether weights learnt elsewhere are here, asked before anything is trained; none is loaded."""

from __future__ import annotations

from baselines.contract import LocatesWeights
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import store
from benchmarks.tasks import Task


def check(planned: PlannedCell, task: Task) -> None:
    """Raise `UserError` if what a system trains from is not here, or does not fit its recipe."""
    contestant = planned.contestant
    if issubclass(contestant.system, LocatesWeights):
        contestant.system(contestant.recipe, task.limits).locate_weights()


def check_plan(plan: Plan) -> None:
    """The same for all checkpoints that are still to be made; those that are there need nothing else any more."""
    cells = (p for p in plan.cells if not store.is_generated(store.cell_folder(plan.folder, p.cell.id)))
    for checkpoint, planned in {p.cell.checkpoint_id: p for p in cells}.items():
        if not store.fit_file(plan.folder, checkpoint).exists():
            check(planned, plan.task)
