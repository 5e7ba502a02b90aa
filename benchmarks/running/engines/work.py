"""The stages of a run's cells as pieces of work, each of which may begin when what it needs is there. No engine is
imported."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.metrics.core import selection
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.records import store
from benchmarks.running import fitting, reuse, scoring
from benchmarks.running.cell_status import label
from benchmarks.running.runner import Stage

MOST_TRIES = 3


@dataclass(frozen=True)
class Work:
    """One stage of one cell; training is that of all cells that share the checkpoint."""

    stage: Stage
    cells: tuple[PlannedCell, ...]

    @property
    def cell_ids(self) -> tuple[str, ...]:
        return tuple(planned.cell.id for planned in self.cells)

    @property
    def key(self) -> str:
        return f"{self.stage} {self.cells[0].cell.id}"

    @property
    def said(self) -> str:
        """In a few words."""
        cell = self.cells[0].cell
        return f"{cell.system} seed {cell.seed} fit" if self.stage == "fit" else f"{label(cell)} {self.stage}"


Ending = Literal["done", "failed", "refused"]


class WorkGraph:
    """What is to be done of a plan, and what may begin: training, then texts, then scores, as far as each is asked for.

    What is on disk already is not asked for.
    """

    def __init__(self, plan: Plan, stages: Sequence[Stage]) -> None:
        self.plan, self.stages = plan, tuple(stages)
        stored = store.read_plan(plan.folder)
        assert stored is not None, "it was written before"
        self.metrics = selection.select(plan.choices.metric, plan.task.metrics, stored["evaluators"])

    def first(self) -> Iterator[Work]:
        """What may begin at once."""
        for cells in reuse.groups(self.plan.cells):
            pending = tuple(reuse.pending(self.plan.folder, cells))
            trained = fitting.training_of(self.plan.folder, cells[0].cell.checkpoint_id) is not None
            if pending and "fit" in self.stages and not trained:
                yield Work("fit", pending)
            else:
                yield from self._texts(pending)
            yield from itertools.chain.from_iterable(self._scores(p) for p in cells if p not in pending)

    def after(self, work: Work) -> Iterator[Work]:
        """What may begin when a piece of work came to its end well."""
        if work.stage == "fit":
            yield from self._texts(work.cells)
        elif work.stage == "generate":
            yield from self._scores(work.cells[0])

    def weight(self) -> int:
        """How many pieces of work there are from here, all in all."""
        waiting, count = list(self.first()), 0
        while waiting:
            work = waiting.pop()
            count += 1
            waiting += self.after(work)
        return count

    def _texts(self, cells: Sequence[PlannedCell]) -> Iterator[Work]:
        if "generate" in self.stages:
            yield from (Work("generate", (planned,)) for planned in cells)

    def _scores(self, planned: PlannedCell) -> Iterator[Work]:
        folder = self._folder(planned)
        if "score" in self.stages and (
            not store.is_generated(folder) or scoring.missing(folder, self.metrics, planned.cell.source)
        ):
            yield Work("score", (planned,))

    def _folder(self, planned: PlannedCell) -> Path:
        return store.cell_folder(self.plan.folder, planned.cell.id)
