"""`fit` in several processes that a launcher has started: the first does what a run does, the others train with it.

The first process alone locks the folder, decides what is to be trained and writes; by words it leaves with the launcher
(`cosmos.io.launched`) the others learn which checkpoint is next, and that there is none any more.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from cosmos.io import launched

WORD = "fit-{}"
NO_MORE = ""


class LaunchedFits:
    """What the first process says to the others, if there are any."""

    def __init__(self) -> None:
        self._told = count()
        self.launch = launched.launch()

    def next(self, checkpoint_id: str, system: Any) -> None:
        """All are to train this checkpoint now; but a system that does not share its batches is trained alone."""
        if self.launch is not None and getattr(system, "shares_batches", False):
            launched.tell_others(WORD.format(next(self._told)), checkpoint_id)

    def end(self) -> None:
        """Nothing is left to be trained."""
        if self.launch is not None:
            launched.tell_others(WORD.format(next(self._told)), NO_MORE)
