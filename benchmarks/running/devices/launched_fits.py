"""`fit` in several processes that a launcher has started: the first does what a run does, the others train with it.

The first process alone locks the folder, decides what is to be trained and writes; by words it leaves with the launcher
(`cosmos.io.launched`) the others learn which checkpoint is next, and that there is none any more.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from baselines.contract import Corpus, UserError
from benchmarks.planning.plan import Plan
from cosmos.io import launched

_WORD = "fit-{}"
_NO_MORE = ""


class LaunchedFits:
    """What the first process says to the others, if there are any."""

    def __init__(self) -> None:
        self._told = count()
        self.launch = launched.launch()

    def next(self, checkpoint_id: str, system: Any) -> None:
        """All are to train this checkpoint now; but a system that does not share its batches is trained alone."""
        if self.launch is not None and getattr(system, "shares_batches", False):
            launched.tell_others(_WORD.format(next(self._told)), checkpoint_id)

    def end(self) -> None:
        """Nothing is left to be trained."""
        if self.launch is not None:
            launched.tell_others(_WORD.format(next(self._told)), _NO_MORE)


def follow(plan: Plan, corpus: Callable[[], Corpus], fit: Callable[[Any, Corpus], object]) -> None:
    """Train whatever the first process trains, until it is done.

    Args:
        corpus: what is learnt from, asked where something is.
        fit: trains a planned cell's checkpoint on it.
    """
    cells = {planned.cell.checkpoint_id: planned for planned in plan.cells}
    for number in count():
        checkpoint_id = launched.heard(_WORD.format(number))
        if checkpoint_id == _NO_MORE:
            return
        if checkpoint_id not in cells:
            raise UserError("Processes of this launch were given different commands; give all the same one.")
        fit(cells[checkpoint_id], corpus())
