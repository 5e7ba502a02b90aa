"""By which metric trials are judged."""

from __future__ import annotations

from baselines.contract import UserError
from benchmarks import metrics
from benchmarks.metrics.core import selection
from benchmarks.tasks import Task


def choose(task: Task, source: str, named: str | None = None) -> str:
    """The metric named, or the first headline of a task that works here.

    Raises:
        UserError: there is no such metric, it has no direction, it cannot be had here, or no headline can.
    """
    works = {one.metric: one for one in metrics.available(source)}
    if named is not None:
        selection.check_words([named])
        if named not in task.metrics and not named.startswith("evaluate:"):
            raise UserError(f"{named} is no metric of {task.name}; name one of {', '.join(task.headline)}.")
        if metrics.find(named).direction != "higher":
            raise UserError(
                f"Of {named} more is not better, so nothing can be chosen by it; name another with --metric."
            )
        if named in works and not works[named].works:
            raise UserError(f"{named} cannot be had here: {works[named].hint}.")
        return named
    for name in task.headline:
        if works[name].works and metrics.find(name).direction == "higher":
            return name
    raise UserError(f"No headline of {task.name} can be had here; name a metric with --metric.")
