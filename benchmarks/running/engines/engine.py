"""What carries out a plan in place of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan
    from benchmarks.progress import ProgressReporter
    from benchmarks.running.cell_status import CellStatus
    from benchmarks.running.runner import Stage


@dataclass(frozen=True)
class Engine:
    """Who makes the cells of a run other than this process.

    Attributes:
        find_device: the device that they have, for one that was asked for.
        run: carries out some stages of a plan; whether what is there is made again.
    """

    find_device: Callable[[str], str]
    run: Callable[[Plan, ProgressReporter, Sequence[Stage], bool], CellStatus]
