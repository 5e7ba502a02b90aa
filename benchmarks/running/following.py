"""What all processes of a launch but the first do: train with it whatever it trains."""

from __future__ import annotations

from itertools import count

from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.running import fitting
from benchmarks.running.devices.launched_fits import NO_MORE, WORD
from cosmos.io import launched


def follow(plan: Plan) -> None:
    """Train whatever the first process trains, until it is done; it looks after all else."""
    cells = {planned.cell.checkpoint_id: planned for planned in plan.cells}
    for number in count():
        checkpoint_id = launched.heard(WORD.format(number))
        if checkpoint_id == NO_MORE:
            return
        if checkpoint_id not in cells:
            raise UserError("Processes of this launch were given different commands; give all the same one.")
        planned = cells[checkpoint_id]
        system = planned.contestant.system(planned.contestant.recipe, plan.task.limits)
        fitting.train(plan.folder, planned, system, fitting.corpus_of(plan))
