"""Tables cut into parts that fit: as few as can be, of about equal width, and not higher than a page."""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from reports.latex.layouts import Layout
from reports.latex.notes import how_to_read
from reports.latex.widths import width
from reports.table import Column, Row, Table, TableCell

NAMES = (0.4, 0.34, 0.29, 0.25, 0.21)  # shares of the width that names of rows may take, the best first
_LINE = 11  # characters of a column's head that stand side by side
_WORD = 16  # characters of one word of it
_LEADING = 1.2
_RULES = 75.0  # points for rules, heads, caption and the space around them


@dataclass(frozen=True)
class FittedPart:
    """A part of a table, and how many points its column of names takes."""

    table: Table
    names: float


def fitted(content: Table, layout: Layout) -> list[FittedPart]:
    """The table in parts; a table that fits is the only one.

    Names are set in several lines where that makes parts fewer, or they would take much of the width.
    """
    longest = _names_width(content, layout)
    rooms = [min(longest, share * layout.width) for share in NAMES]
    sizes = [layout.gap + one for one in widths(content, layout)]
    cuts = {room: _filled(sizes, layout.width - room) for room in rooms}
    fewest = min(map(len, cuts.values()))
    names = next(room for room in rooms if len(cuts[room]) == fewest)
    first, *others = [
        part for columns in _cut_columns(content, layout, names) for part in _cut_rows(columns, layout, names)
    ]
    return [FittedPart(part, names) for part in (first, *(replace(other, brief=()) for other in others))]


def _names_width(content: Table, layout: Layout) -> float:
    rows = [row for block in content.blocks for row in block.rows]
    return max(
        [
            width(content.head, layout.size),
            *(width(row.title, layout.size) for row in rows),
            *(width(row.detail, layout.small) for row in rows),
        ]
    )


def widths(content: Table, layout: Layout) -> list[float]:
    """Points of each column of numbers."""
    rows = [row.cells for block in content.blocks for row in block.rows]
    return [
        max([_head_width(column, layout), *(_cell_width(cells[place], layout) for cells in rows)])
        for place, column in enumerate(content.columns)
    ]


def second_line(cell: TableCell, layout: Layout) -> str:
    """What stands below a value: both ends of its interval, or how far the farther one is."""
    if layout.brackets or cell.value is None or cell.low is None or cell.high is None:
        return cell.interval
    places = len(re.search(r"(?:\.(\d+))?$", cell.text).group(1) or "")  # type: ignore[union-attr]
    farther = max(cell.value - cell.low, cell.high - cell.value)
    return f"±{math.ceil(farther * 10**places - 1e-6) / 10**places:,.{places}f}" if cell.interval else ""


def head_lines(column: Column) -> list[str]:
    """The title in as many short lines as it has words that do not fit side by side."""
    lines: list[str] = []
    words = [word[at : at + _WORD] for word in column.title.split() for at in range(0, len(word), _WORD)]
    for word in words:
        if lines and len(lines[-1]) + len(word) < _LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _head_width(column: Column, layout: Layout) -> float:
    lines = head_lines(column) or [""]
    arrow = " ↑" if column.direction != "none" else ""
    return max(
        [*(width(line, layout.size) for line in (*lines[:-1], lines[-1] + arrow)), width(column.unit, layout.small)]
    )


def _cell_width(cell: TableCell, layout: Layout) -> float:
    text = f"({cell.text})" if cell.doubtful else cell.text
    # Numbers of notes are set at about two thirds; how many there will be is known once the parts are.
    notes = width("00," * len(cell.notes), layout.small)
    return max(
        width(text, layout.size, bold=cell.mark == "best") + notes, width(second_line(cell, layout), layout.small)
    )


def _cut_columns(content: Table, layout: Layout, names: float) -> list[Table]:
    room = layout.width - names
    sizes = [layout.gap + one for one in widths(content, layout)]
    fewest = len(_filled(sizes, room))
    # The narrowest room in which the parts are as few leaves them about equal.
    narrow = next(
        r for r in range(math.ceil(max(sizes)), math.ceil(max(room, *sizes)) + 1) if len(_filled(sizes, r)) <= fewest
    )
    cuts = [0, *_filled(sizes, narrow)]
    return [content.part(start, stop) for start, stop in pairwise(cuts)]


def _filled(sizes: Sequence[float], room: float) -> list[int]:
    """Where each part ends if each takes as many columns as there is room for, one at least."""
    ends, used = [], 0.0
    for place, size in enumerate(sizes):
        if used and used + size > room:
            ends.append(place)
            used = 0.0
        used += size
    return [*ends, len(sizes)]


def _cut_rows(content: Table, layout: Layout, names: float) -> list[Table]:
    """The rows in parts of about equal height, where one part would be higher than a page."""
    line = _LEADING * (layout.size + layout.small)
    below = sum(
        math.ceil(width(text, layout.notes) / layout.width) * _LEADING * layout.notes
        for text in (*content.notes(), *how_to_read(content, layout), *content.brief)
    )
    every = [(place, row) for place, block in enumerate(content.blocks) for row in block.rows]
    reached = list(accumulate(_row_height(row, layout, names) for _, row in every))
    room = max(layout.height - _RULES - min(below, layout.height / 3) - line * len(content.blocks), 10 * line)
    count = math.ceil(reached[-1] / room)
    if count <= 1:
        return [content]
    starts = [place for place in range(1, len(every)) if every[place][0] != every[place - 1][0]]
    equal = (bisect(reached, reached[-1] * part / count) for part in range(1, count))
    cuts = sorted({0, *(_near(cut, starts, len(every) // (5 * count)) for cut in equal), len(every)})
    parts = []
    for start, stop in pairwise(cuts):
        blocks = []
        for place, block in enumerate(content.blocks):
            rows = tuple(row for of, row in every[start:stop] if of == place)
            begun = any(of == place for of, _ in every[:start])
            blocks += [replace(block, title=block.title + " (continued)" * begun, rows=rows)] if rows else []
        parts.append(replace(content, blocks=tuple(blocks)))
    return parts


def _row_height(row: Row, layout: Layout, names: float) -> float:
    """Points of a row, whose names may take several lines, with what stands below."""

    def lines(text: str, size: int) -> float:
        return max(1, math.ceil(1.15 * width(text, size) / names)) * _LEADING * size

    below = bool(row.detail) or any(second_line(cell, layout) for cell in row.cells)
    return lines(row.title, layout.size) + (lines(row.detail, layout.small) if below else 0.0)


def _near(cut: int, starts: Sequence[int], most: int) -> int:
    """The beginning of a block in place of a cut that is as near."""
    return min((start for start in starts if abs(start - cut) <= most), key=lambda s: abs(s - cut), default=cut)
