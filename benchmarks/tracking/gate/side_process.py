"""The near end of a process that generates with the code of one commit; `timed_side` is the far end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from baselines.contract import UserError
from benchmarks.records.schema import Cell, Json
from benchmarks.timing import line_process
from benchmarks.timing.line_process import LineProcess
from benchmarks.tracking.gate.code_trees import CodeTree

_PROGRAM = Path(__file__).with_name("timed_side.py")


@dataclass(frozen=True)
class TimingJob:
    """What a side generates: a cell's texts from a checkpoint, with some code.

    Attributes:
        requests: what may be asked, as `baselines.contract.Request` has it.
        sizes: the numbers of texts at once that will be timed.
    """

    tree: CodeTree
    cell: Cell
    checkpoint: Path
    limits: Mapping[str, int]
    requests: Sequence[Json]
    sizes: Sequence[int]

    @property
    def line(self) -> Json:
        cell = self.cell
        named = {"system": cell.system, "preset": cell.preset, "recipe": cell.recipe, "setting": cell.setting}
        place = {"checkpoint": str(self.checkpoint), "device": cell.device, "dtype": cell.dtype}
        asked = {"limits": dict(self.limits), "requests": list(self.requests), "sizes": list(self.sizes)}
        return {**named, "setting_values": cell.setting_values, **place, **asked}


class TimedSide(Protocol):
    """Something that can be timed."""

    def seconds(self, size: int, start: int = 0) -> float:
        """How long one call for so many texts takes, from a request on."""
        ...


StartSide = Callable[[TimingJob], AbstractContextManager[TimedSide]]


class SideProcess:
    """A process that has loaded its side and waits."""

    def __init__(self, process: LineProcess) -> None:
        self._process = process

    def seconds(self, size: int, start: int = 0) -> float:
        """How long one call for so many texts took, from a request on."""
        return float(self._process.ask({"size": size, "start": start})["seconds"])


@contextmanager
def started(job: TimingJob) -> Iterator[SideProcess]:
    """A process of its own that is ready to be timed; it ends with the block.

    Raises:
        UserError: that code cannot load or generate, or it is not that code which runs.
    """
    tree = job.tree
    failed = f"The code of {tree.name} cannot generate these texts"
    command = [sys.executable, "-P", str(_PROGRAM)]
    with line_process.started(command, failed, environment=tree.environment, folder=tree.folder) as process:
        place = Path(process.ask(job.line)["ready"])
        if place != tree.folder:
            raise UserError(f"Python finds the packages in {place}, not those of {tree.name}.")
        yield SideProcess(process)
