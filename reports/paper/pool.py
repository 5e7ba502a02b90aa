"""The columns that a table for a paper can have: all of a report's tables, and how their numbers are written anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reports.content import Section
from reports.numbers import NOTHING, fixed
from reports.paper.layouts import HEADLINE, PaperColumn
from reports.table import Column, Row, TableCell

Pool = Mapping[str, tuple[Column, Mapping[str, TableCell]]]
"""Columns by key, with their cells by the id of the row's cell."""


def pool_of(section: Section) -> Pool:
    """Every column of a section's tables that has a key; what stands in several is taken from the first."""
    pool: dict[str, tuple[Column, Mapping[str, TableCell]]] = {}
    for table in section.tables:
        for place, column in enumerate(table.columns):
            if column.key and column.key not in pool:
                cells = {row.cell_id: row.cells[place] for block in table.blocks for row in block.rows}
                pool[column.key] = (column, cells)
    return pool


def keys_for(column: PaperColumn, pool: Pool, section: Section) -> list[str]:
    """The keys of columns that may stand in one of a paper, those with values first and else best first; all signatures
    of a metric that was judged in several ways."""
    found: list[str] = []
    for name in column.keys:
        headline = section.panel.headline
        if name == HEADLINE:
            found += [headline.key] if headline is not None else []
        elif name in pool:
            found.append(name)
        else:
            found += [score.key for score in section.panel.columns if score.metric == name and score.key in pool]
    return sorted(found, key=lambda key: not has_values(pool, key))


def has_values(pool: Pool, key: str) -> bool:
    return key in pool and any(cell.value is not None for cell in pool[key][1].values())


@dataclass(frozen=True)
class ShownColumn:
    """A column of a paper and the report's that stands in it, if any does."""

    asked: PaperColumn
    key: str
    digits: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called on a command line."""
        return tuple(name for name in (self.key, self.asked.head, *self.asked.keys) if name)

    def head(self, pool: Pool) -> Column:
        """The report's column under the paper's head."""
        if not self.key:
            return Column(self.asked.head)
        found = pool[self.key][0]
        unit = "" if found.unit == self.asked.head.lower() else found.unit
        named = self.asked.head or found.title
        return Column(named, unit, found.direction, "", found.key, found.scale, renamed=named != found.title)

    def cell(self, row: Row, pool: Pool) -> TableCell:
        """The report's cell, with the decimals that are asked for."""
        column, cells = pool[self.key] if self.key else (None, {})
        cell = cells.get(row.cell_id)
        if cell is None or column is None:
            return TableCell(None, NOTHING)
        if cell.value is None or (self.digits is None and self.asked.times == 1):
            return cell
        places = len(cell.text.partition(".")[2]) if self.digits is None else self.digits
        times = self.asked.times
        low, high = (None if end is None else end * times for end in (cell.low, cell.high))
        numbers = [
            fixed(number / column.scale, places) for number in (cell.value * times, low, high) if number is not None
        ]
        bound = "≤ " if cell.text.startswith("≤") else ""
        interval = f"[{numbers[1]}, {numbers[2]}]" if cell.interval and len(numbers) == 3 else ""
        text = f"{bound}{numbers[0]}"
        return replace(cell, value=cell.value * times, low=low, high=high, text=text, interval=interval)
