"""What became of cells: done, failed or refused, with the reason in the header and one line for the user."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from baselines.contract import UserError
from benchmarks.planning.plan import PlannedCell
from benchmarks.progress import ProgressReporter as ProgressReporter
from benchmarks.records import store
from benchmarks.records.environment import now
from benchmarks.records.files import StoreError
from benchmarks.records.schema import Cell
from cosmos.io import launched
from cosmos.io.files import WriteError, is_full, write_bytes

ERROR = "error.txt"  # in a failed cell's folder: where it failed


@dataclass
class CellStatus:
    """One line for each cell of a run that did not come to its end."""

    run: Path
    voice: ProgressReporter
    failed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 2 if self.refused else 0

    @contextmanager
    def guarded(self, group: Sequence[PlannedCell], mark: bool = True) -> Iterator[None]:
        """Let cells fail without ending the run. What cannot be written ends it, and so does an interrupt; and whatever
        one of several launched processes meets.

        Args:
            mark: whether the header of a cell shall say so; a cell whose scoring failed still has all its texts.
        """
        try:
            yield
        except WriteError:
            raise
        except Exception as error:
            if launched.launch() is not None:  # others may be waiting for this process where they cannot be told
                raise
            self._ended(error, group, mark)

    def _ended(self, error: Exception, group: Sequence[PlannedCell], mark: bool) -> None:
        """Note what a cell came to."""
        if isinstance(error, UserError):
            for planned in group:
                self._end(planned, "refused", str(error), None, mark)
        elif isinstance(error, OSError) and is_full(error):  # while a system writes its checkpoint in its own way
            raise StoreError.of(self.run, error) from error
        else:  # whatever a contestant raises is its own failure, and is recorded
            self._fail(group, error, mark)

    def _fail(self, group: Sequence[PlannedCell], error: Exception, mark: bool) -> None:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        for planned in group:
            self._end(planned, "failed", reason, "".join(traceback.format_exception(error)), mark)

    def _end(
        self, planned: PlannedCell, status: Literal["failed", "refused"], reason: str, trace: str | None, mark: bool
    ) -> None:
        folder = store.cell_folder(self.run, planned.cell.id)
        where = f" (traceback: {folder / ERROR})" if trace is not None else ""
        said = f"{label(planned.cell)}: {status}: {reason}{where}"
        (self.failed if status == "failed" else self.refused).append(said)
        self.voice.say(said)
        header = store.read_header(folder)
        if mark and header is not None:
            store.write_header(folder, dataclasses.replace(header, status=status, reason=reason, finished=now()))
        if trace is not None:
            write_bytes(folder / ERROR, trace.encode(), StoreError)


def label(cell: Cell) -> str:
    """A cell in a few words."""
    setting = "" if cell.setting == "default" else f" {cell.setting}"
    return f"{cell.system}{setting} seed {cell.seed} ({cell.id[:6]})"
