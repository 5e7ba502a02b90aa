"""The table for a terminal: as many columns as fit, the headline and speed first."""

from __future__ import annotations

import shutil
import textwrap

from reports.content import Section
from reports.legend import has_intervals, scores_covered
from reports.numbers import MINUS, NOTHING, counted
from reports.table import Column, Table, TableCell
from reports.tables import QUALITY

NARROWEST = 40


def render(sections: tuple[Section, ...], width: int | None = None) -> str:
    """One table per panel; no line is wider than `width` (that of the terminal, or 80)."""
    line_width = max(NARROWEST, width or shutil.get_terminal_size((80, 24)).columns)
    return "\n\n".join(_panel(section, line_width) for section in sections)


def _panel(section: Section, line_width: int) -> str:
    glance, scores = section.glance, section.scores
    glanced = {column.title for column in glance.columns}
    rest = [index for index, column in enumerate(scores.columns) if column.title not in glanced]
    lines = [_clipped(section.title, line_width)]
    names = [row.short for block in glance.blocks for row in block.rows]
    widest = min(max(map(len, ["system", *names])), max(16, line_width // 3))
    # Every column is (head, texts by row); the glance first, then the other scores.
    quality = _quality(glance, line_width - widest)
    used, columns_shown = widest + sum(2 + len(column[0]) for column in quality), list(quality)
    further = range(sum(column.group == QUALITY for column in glance.columns), len(glance.columns))
    columns = [_column(glance, index, interval=False) for index in further]
    alone = {column.title for column in section.panel.columns if not column.companions}
    columns += [_column(scores, index, interval=False) for index in rest if scores.columns[index].title in alone]
    for column in columns:
        size = max(map(len, column))
        if used + 2 + size <= line_width:
            used += 2 + size
            columns_shown.append([text.rjust(size) for text in column])
    row_number = 0
    heads = [[column[0] for column in columns_shown], [column[1] for column in columns_shown]]
    lines += [("  ".join(["system".ljust(widest), *heads[0]])).rstrip(), "  ".join([" " * widest, *heads[1]]).rstrip()]
    for block in glance.blocks:
        lines.append(_clipped(f"-- {block.title} ".ljust(used, "-"), used))
        for _ in block.rows:
            cells = [column[2 + row_number] for column in columns_shown]
            name, *more = textwrap.wrap(
                names[row_number], widest, subsequent_indent="  "
            )  # never cut: what differs may stand at the end
            lines += ["  ".join([name.ljust(widest), *cells]).rstrip(), *more]
            row_number += 1
    lines.append("-" * used)
    speed = ", in speed than trained entries of every block" if len(section.panel.tracks) > 1 else ""
    foot = [f"[...]: 95 % interval, of {scores_covered(section.panel)}."] if has_intervals(section.panel) else []
    foot += [
        f"*: better than all other entries of its block{speed}. †: not told apart from the best of its block.",
    ]
    left = len(glance.columns) + len(rest) - len(columns_shown)
    if left:
        foot.append(f"{left} more columns are in the report.")
    if any(cell.value is None for block in glance.blocks for row in block.rows for cell in row.cells):
        foot.append(f"{NOTHING}: no number; the report says why.")
    foot += section.curves_said
    if section.missing:
        foot.append(
            f"{counted(len(section.missing), 'cell')} without a result: {', '.join(m.name for m in section.missing)}."
        )
    if any(cell.doubtful for block in glance.blocks for row in block.rows for cell in row.cells):
        foot.append("?: the timing is not valid; the report says why.")
    return "\n".join([*lines, *(line for text in foot for line in textwrap.wrap(text, line_width))])


def _quality(glance: Table, line_width: int) -> list[list[str]]:
    """The columns of the headline and of what it is never shown without: all of them or none, with its interval if
    there is room for that."""
    indices = [index for index, column in enumerate(glance.columns) if column.group == QUALITY]
    for interval in (True, False):
        columns = [_column(glance, index, interval=interval and index == 0) for index in indices]
        sizes = [max(map(len, column)) for column in columns]
        if sum(2 + size for size in sizes) <= line_width:
            return [[text.rjust(size) for text in column] for column, size in zip(columns, sizes, strict=True)]
    return []


def _column(table: Table, index: int, interval: bool) -> list[str]:
    """Two lines of head, then every row's text."""
    column = table.columns[index]
    cells = [row.cells[index] for block in table.blocks for row in block.rows]
    return [*_head(column), *(_text(cell, interval) for cell in cells)]


def _head(column: Column) -> tuple[str, str]:
    short = {
        "Latency of one text": "latency",
        "Throughput": "speed",
        "Network calls": "calls",
        "On the front": "front",
        "Trained parameters": "trained",
        "Frozen parameters": "frozen",
        "Training time": "training",
        "Training compute": "compute",
    }
    unit = {"ms, median": "ms", "per text": "/text", "% of draws": "%"}.get(column.unit, column.unit)
    better = {"higher": "higher", "lower": "lower", "none": ""}[column.direction] if not unit else ""
    return short.get(column.title, column.title), unit or better


def _text(cell: TableCell, interval: bool) -> str:
    mark = {"best": "*", "level": "†", "": ""}[cell.mark] + ("?" if cell.doubtful else "")
    text = f"{cell.text}{mark} {cell.interval}".rstrip() if interval else f"{cell.text}{mark}"
    return text.replace(MINUS, "-")  # not every terminal has the sign


def _clipped(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"
