"""Notes of tables for papers: short, about the numbers, without commands. The long ones stand in the other reports."""

from __future__ import annotations

import re
from dataclasses import replace

from reports.latex.layouts import Layout
from reports.table import Table, TableCell

_COMMAND = re.compile(r"\b(?:pip install|python -m|cosmos-bench \w|git \w+|--[a-z]\w+)|\badd it with\b|\bdelete its\b")
_MOST = 110  # characters of a note


def shortened(content: Table) -> Table:
    """The table with short notes."""
    blocks = tuple(
        replace(block, rows=tuple(replace(row, cells=tuple(map(_shortened, row.cells))) for row in block.rows))
        for block in content.blocks
    )
    return replace(content, blocks=blocks)


def _shortened(cell: TableCell) -> TableCell:
    return replace(cell, notes=tuple(dict.fromkeys(map(short, cell.notes)))) if cell.notes else cell


def short(note: str) -> str:
    """A note without the clauses that tell what to type, up to the end of a clause where it is long."""
    clauses = [clause for clause in re.split(r"(?<=[;.:]) ", " ".join(note.split())) if not _COMMAND.search(clause)]
    kept = ""
    for clause in clauses:
        if kept and len(kept) + 1 + len(clause) > _MOST:
            break
        kept = f"{kept} {clause}".strip()
    if len(kept) > _MOST:
        kept = kept[:_MOST].rpartition(" ")[0] + " …"
    return kept.rstrip(";:., ") or "no number"


def how_to_read(content: Table, layout: Layout) -> tuple[str, ...]:
    """One line for the signs that stand in a table."""
    cells = [cell for block in content.blocks for row in block.rows for cell in row.cells]
    intervals = [cell for cell in cells if cell.interval.startswith("[")]
    ends = any(layout.brackets or cell.low is None for cell in intervals)
    said = []
    if ends:
        said.append(f"Brackets: {content.brackets}.")
    if any(not layout.brackets and cell.low is not None for cell in intervals):
        said.append(f"±: to the farther end of {content.brackets}.")
    if any(cell.mark == "best" for cell in cells):
        said.append("Bold: better than all it is ranked with, told apart from each.")
    if any(cell.mark == "level" for cell in cells):
        said.append("†: the best, or not told apart from it.")
    if any(cell.doubtful for cell in cells):
        said.append("(In parentheses): not a valid timing.")
    return (" ".join(said),) if said else ()
