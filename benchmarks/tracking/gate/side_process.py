"""The near end of a process that generates with the code of one commit; `timed_side` is the far end."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from baselines.contract import UserError
from benchmarks.records.schema import Cell, Json
from benchmarks.tracking.gate.code_trees import CodeTree

_PROGRAM = Path(__file__).with_name("timed_side.py")
_SHOWN = 300  # characters of what went wrong


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

    def __init__(self, process: subprocess.Popen[str], said: Any, name: str) -> None:
        self._process, self._said, self._name = process, said, name

    def seconds(self, size: int, start: int = 0) -> float:
        """How long one call for so many texts took, from a request on."""
        return float(self.ask({"size": size, "start": start})["seconds"])

    def ask(self, row: Mapping[str, Any]) -> Json:
        """Send a line and wait for the answer.

        Raises:
            UserError: the process has ended; the message says why.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        answer = ""
        try:
            self._process.stdin.write(json.dumps(row) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not answer:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            why = lines[-1][:_SHOWN] if lines else f"it ended with exit code {self._process.wait()}"
            raise UserError(f"The code of {self._name} cannot generate these texts ({why}).")
        found: Json = json.loads(answer)
        return found


@contextmanager
def started(job: TimingJob) -> Iterator[SideProcess]:
    """A process of its own that is ready to be timed; it ends with the block.

    Raises:
        UserError: that code cannot load or generate, or it is not that code which runs.
    """
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=job.tree.environment,
            cwd=job.tree.folder,
        ) as process,
    ):
        try:
            side = SideProcess(process, said, job.tree.name)
            place = Path(side.ask(job.line)["ready"])
            if place != job.tree.folder:
                raise UserError(f"Python finds the packages in {place}, not those of {job.tree.name}.")
            yield side
        finally:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.kill()
