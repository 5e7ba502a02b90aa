"""A table apart from how it is written: value, display text, note, link and style of a cell are kept separate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.records.schema import Direction
from reports.quantities import LEVEL
from reports.significance import Mark


@dataclass(frozen=True)
class TableCell:
    """One entry of a table.

    Attributes:
        value: the number itself, None where there is none.
        text: the number as it is shown.
        interval: its interval as it is shown, "" where there is none.
        notes: what must be said of it; writers number them.
        mark: "best" or "level" (not distinguishable from the best): of its track in scores, of all entries in speed;
            `reports.significance` says by which rule.
        doubtful: shown, but not to be trusted; a note says why.
        low, high: the ends of the interval, as `value`; None where there is none or it is not of the value alone.
    """

    value: float | None
    text: str
    interval: str = ""
    notes: tuple[str, ...] = ()
    mark: Mark = ""
    doubtful: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Column:
    """The head of a column: `title` over `unit`, under the heading `group`.

    `key` is what it is called on a command line, "" where it cannot be chosen there; `renamed` whether `title` is a
    paper's word for it, which may stand for one of several. Values are shown divided by `scale`.
    """

    title: str
    unit: str = ""
    direction: Direction = "none"
    group: str = ""
    key: str = ""
    scale: float = 1.0
    renamed: bool = False


@dataclass(frozen=True)
class Row:
    """`title` names the row, `detail` says more of it, `cell_id` leads to where its numbers come from; `short` is both
    where there is little room.

    `key` is what it is called on a command line: `SYSTEM/SETTING`, "" where it cannot be chosen there.
    """

    title: str
    detail: str
    cell_id: str
    cells: tuple[TableCell, ...]
    short: str = ""
    key: str = ""


@dataclass(frozen=True)
class RowGroup:
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...]
    for_scale: bool = False  # of what takes no part: floors, the reference


@dataclass(frozen=True)
class Table:
    """A caption, columns and blocks of rows; each row has one cell per column."""

    name: str  # for anchors, labels and file names
    caption: str
    columns: tuple[Column, ...]
    blocks: tuple[RowGroup, ...]
    remarks: tuple[str, ...] = ()  # how to read it; shown under it
    head: str = "System"  # of the rows' titles
    brief: tuple[str, ...] = ()  # of the remarks, what stands under it in a paper
    brackets: str = f"{100 * LEVEL:g} % intervals"  # what intervals in brackets are

    def __post_init__(self) -> None:
        for block in self.blocks:
            for row in block.rows:
                assert len(row.cells) == len(self.columns), f"{row.title} has {len(row.cells)} cells"

    def notes(self) -> tuple[str, ...]:
        """The notes of all cells, once each, in reading order: note i is marked i + 1."""
        every = (note for block in self.blocks for row in block.rows for cell in row.cells for note in cell.notes)
        return tuple(dict.fromkeys(every))

    def numbers(self, cell: TableCell) -> tuple[int, ...]:
        """The marks of a cell's notes."""
        notes = self.notes()
        return tuple(notes.index(note) + 1 for note in cell.notes)

    def part(self, start: int, stop: int) -> Table:
        """The same rows with the columns from `start` up to `stop`."""
        blocks = tuple(
            replace(block, rows=tuple(replace(row, cells=row.cells[start:stop]) for row in block.rows))
            for block in self.blocks
        )
        return replace(self, columns=self.columns[start:stop], blocks=blocks)


@dataclass(frozen=True)
class Bar:
    """One thing asked: what, how much, what was measured, and the verdict."""

    what: str
    asked: str
    measured: str
    verdict: Literal["held", "missed", "not measured"]

    @property
    def sentence(self) -> str:
        measured = f", measured {self.measured}" if self.measured else ""
        return f"{self.verdict}: {self.what}: asked {self.asked}{measured}"
