"""Tables as CSV: numbers in twelve digits, for whoever goes on to compute or to draw."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from reports.numbers import NOTHING, in_full
from reports.table import Column, Table, TableCell


def table(content: Table) -> str:
    """A line for each row: its block, its name, the id of its cell, and of each column the value, both ends of its
    interval where the column has any, and what must be said of it where there is anything. Where a column has a paper's
    word for a head, what stands in it follows in brackets, as in `STA [sta_profanity]`."""
    blocks = [(block.title, row) for block in content.blocks for row in block.rows]
    places = [(place, column, _parts(place, content)) for place, column in enumerate(content.columns)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [_head(column, part) for _, column, parts in places for part in parts]
    writer.writerow(["block", content.head.lower(), "detail", "name", "cell", *heads])
    for block, row in blocks:
        values = [_value(row.cells[place], column, part) for place, column, parts in places for part in parts]
        writer.writerow([block, row.title, row.detail, row.key, row.cell_id, *values])
    return out.getvalue()


def _parts(place: int, content: Table) -> tuple[str, ...]:
    cells = [row.cells[place] for block in content.blocks for row in block.rows]
    ends = any(cell.low is not None for cell in cells)
    noted = any(cell.notes for cell in cells)
    return ("", *(("low", "high") if ends else ()), *(("notes",) if noted else ()))


def _head(column: Column, part: str) -> str:
    title = f"{column.title} [{column.key}]" if column.renamed else column.title
    name = f"{title} ({column.unit})" if column.unit else title
    return f"{name} {part}".strip()


def _value(cell: TableCell, column: Column, part: str) -> str:
    if part == "notes":
        return "; ".join(cell.notes)
    number = {"": cell.value, "low": cell.low, "high": cell.high}[part]
    if number is None:
        return cell.text if part == "" and cell.text != NOTHING else ""
    return in_full(float(number) / column.scale)


def named(content: Iterable[Table]) -> dict[str, str]:
    """The CSV of several tables, by file name."""
    return {f"{one.name}.csv": table(one) for one in content}
