"""Tasks: what is asked, how long it may be, how it is scored, and against whom. One file per task."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.contract import Limits
from baselines.registry import Registry

__all__ = ["Task", "find", "names"]


@dataclass(frozen=True)
class Task:
    """The frozen declaration of a task.

    Attributes:
        version: goes up whenever limits, columns or the meaning of a metric change, and is part of a cell's identity.
        conditional: whether a document has a source.
        limits: tokens of the shared tokenizer, specials included. Of the tasks here they are the 99 % quantiles of the
            training texts of the real sets, rounded up to numbers in use; sources of summaries end with the encoder's
            512 positions, which cuts a fifth of them.
        metrics: in the order of the table.
        headline: metrics that sum the table up, best first; the first that has a value is the headline.
        floors: systems added to every run, the reference last.
        systems: contestants of a run that names none.
        sources: where its texts may come from; the first is the default.
        note: licence of the texts, and what harm they may do.
    """

    name: str
    version: str
    title: str
    conditional: bool
    limits: Limits
    metrics: tuple[str, ...]
    headline: tuple[str, ...]
    floors: tuple[str, ...]
    systems: tuple[str, ...]
    sources: tuple[str, ...]
    note: str


def _fault(candidate: object) -> str | None:
    return None if isinstance(candidate, Task) else "is no benchmarks.tasks.Task"


_TASKS = Registry(
    "task",
    "cosmos_bench.tasks",
    {name: f"benchmarks.tasks.{name}:TASK" for name in ("story", "question", "summary", "detox")},
    _fault,
)


def names() -> tuple[str, ...]:
    """The names of all tasks."""
    return _TASKS.names()


def find(name: str) -> Task:
    """The declaration of a task; an unknown name is a `UserError` with the nearest names."""
    task: Task = _TASKS.find(name)
    return task
