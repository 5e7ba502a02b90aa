"""A comparison written: for a terminal, and as Markdown, LaTeX, HTML and JSON in a folder."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path

from benchmarks.records.schema import identity
from benchmarks.tracking.schema import RunComparison, to_json
from reports.comparison import sentences
from reports.comparison.tables import tables
from reports.numbers import MINUS
from reports.table import Row, Table

NARROWEST = 60
_FIRST_LEFT_OUT = ("Covers", "p", "A", "B")  # columns that a narrow terminal does not have


def terminal(comparison: RunComparison, width: int | None = None) -> str:
    """The whole comparison for a terminal; what came out stands last, where the eye is."""
    line_width = max(NARROWEST, width or shutil.get_terminal_size((80, 24)).columns)
    lines = [_wrapped(fact, line_width) for fact in sentences.facts(comparison)]
    for table in tables(comparison):
        lines += ["", table.caption, *_rows(table, line_width)]
        lines += [_wrapped(f"{number} {note}", line_width) for number, note in enumerate(table.notes(), 1)]
        lines += [_wrapped(remark, line_width) for remark in table.remarks]
    lines += ["", *(_wrapped(f"Not compared: {reason}", line_width) for reason in comparison.refused)]
    lines += [_wrapped(line, line_width) for line in sentences.reading(comparison)]
    lines += ["", *(_wrapped(line, line_width) for line in sentences.findings(comparison))]
    return "\n".join(lines).replace(MINUS, "-").replace("×", "x")  # not every terminal has the signs


def as_json(comparison: RunComparison) -> str:
    """The comparison as JSON of a stable schema, in ASCII."""
    return json.dumps(to_json(comparison), indent=1, allow_nan=False)


def write(comparison: RunComparison, folder: Path) -> dict[str, Path]:
    """Write comparison.md, .tex (tables to be \\input), .html and .json.

    Raises:
        UserError: the folder cannot be written to.
    """
    # Here, since jinja2 takes time that `--help` need not wait for.
    from reports import html, latex, markdown
    from reports.templating import save

    title = f"{comparison.b.text} against {comparison.a.text}"
    every, found = tables(comparison), sentences.findings(comparison)
    told, read = sentences.facts(comparison), sentences.reading(comparison)
    text = [f"# {markdown.escape(title)}", _listed(markdown.escape(line) for line in (*found, *told))]
    for table in every:
        text += [f"## {markdown.escape(table.caption)}", str(markdown.table(table))]
    if comparison.refused:
        text += ["## Not compared", _listed(map(markdown.escape, comparison.refused))]
    text += ["## How to read the tables", _listed(map(markdown.escape, read))]
    return {
        "markdown": save(folder / "comparison.md", "\n\n".join(text) + "\n"),
        "latex": save(folder / "comparison.tex", latex.tables(every, prefix=f"compared-{identity(told)[:6]}")),
        "html": save(
            folder / "comparison.html", html.write_comparison(title, found, told, every, comparison.refused, read)
        ),
        "json": save(folder / "comparison.json", as_json(comparison) + "\n"),
    }


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _rows(table: Table, line_width: int) -> list[str]:
    """The rows of a table, each entry's under its name, with as many columns as fit, and without intervals at last."""
    rows = [row for block in table.blocks for row in block.rows]
    names = max([len(table.head), *(len(row.title) + 2 for row in rows)])
    left_out: list[str] = []
    for title in ("", *_FIRST_LEFT_OUT, ""):
        left_out.append(title)
        intervals = len(left_out) < len(_FIRST_LEFT_OUT) + 2
        shown = [place for place, column in enumerate(table.columns) if column.title not in left_out]
        texts = {place: [_cell(table, row, place, intervals) for row in rows] for place in shown}
        sizes = {place: max(map(len, [table.columns[place].title, *texts[place]])) for place in shown}
        if names + sum(2 + size for size in sizes.values()) <= line_width:
            break
    heads = [table.columns[place].title.rjust(sizes[place]) for place in shown]
    lines, number = ["  ".join([table.head.ljust(names), *heads]).rstrip()], 0
    for block in table.blocks:
        lines.append(block.title)
        for row in block.rows:
            cells = [texts[place][number].rjust(sizes[place]) for place in shown]
            lines.append("  ".join([f"  {row.title}".ljust(names), *cells]).rstrip())
            number += 1
    return lines


def _cell(table: Table, row: Row, place: int, interval: bool) -> str:
    cell = row.cells[place]
    numbers = ",".join(map(str, table.numbers(cell)))
    parts = (cell.text, cell.interval if interval else "", f"({numbers})" if numbers else "")
    return " ".join(filter(None, parts))


def _wrapped(text: str, line_width: int) -> str:
    return "\n".join(textwrap.wrap(text, line_width, subsequent_indent="  "))
