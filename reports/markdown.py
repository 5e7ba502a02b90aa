"""The report as Markdown that GitHub renders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from reports.content import Report
from reports.figures import Picture
from reports.table import Column, Row, Table, TableCell
from reports.templating import Raw, environment, printable

NOTHING = "<!-- -->"  # shows nothing, and what it stands in is no address
_LINKED = re.compile(r":(?=//)|www(?=\.)|@|\\#(?=\d)", re.IGNORECASE)  # by which GitHub knows what to link
ARROWS = {"higher": " ↑", "lower": " ↓", "none": ""}


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line; runs of white space become one space."""
    line = printable(" ".join(text.split()))
    line = re.sub(r"([\\`*_{}\[\]<>|~&$#])", r"\\\1", line)
    line = re.sub(r":(?=([a-z+-][a-z0-9_+\\-]*|100|1234):)", r"\:", line)  # or GitHub would draw :tada: as a picture
    line = re.sub(_LINKED, rf"\g<0>{NOTHING}", line)
    line = re.sub(r"^([-+=])", r"\\\1", line)  # or a list item would begin a list or a heading of its own
    return re.sub(r"^(\d{1,9})([.)])(?=\s|$)", r"\1\\\2", line)


def code(text: str) -> Raw:
    """A code span, whatever is in it; pipes are escaped for tables."""
    line = printable(" ".join(text.split())).replace("|", r"\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Raw(f"{fence}{pad}{line}{pad}{fence}")


def fenced(text: str) -> Raw:
    """A block of code."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return Raw(f"{fence}sh\n{printable(text)}\n{fence}")


def link(path: str) -> Raw:
    """The target of a link."""
    return Raw(quote(path, safe="/.-_~"))


def table(content: Table) -> Raw:
    """The table with its notes and remarks."""
    lines = [
        _line([escape(content.head), *(_head(column) for column in content.columns)]),
        _line([":--", *("--:" for _ in content.columns)]),
    ]
    for block in content.blocks:
        lines.append(_line([f"***{escape(block.title)}***", *("" for _ in content.columns)]))
        lines += [_line([_name(row), *(_cell(content, cell) for cell in row.cells)]) for row in block.rows]
    notes = [f"<sup>{number}</sup> {escape(note)}  " for number, note in enumerate(content.notes(), start=1)]
    remarks = [f"{escape(remark)}  " for remark in content.remarks]
    return Raw("\n".join([*lines, *([""] if notes or remarks else []), *notes, *remarks]))


def write(report: Report, pictures: Mapping[str, Picture]) -> str:
    """The whole report; the SVG of each picture lies beside it."""
    template = environment("markdown", escape, table=table, code=code, fenced=fenced, link=link).get_template(
        "report.md"
    )
    return re.sub(r"\n{3,}", "\n\n", template.render(report=report, pictures=pictures.values())).strip() + "\n"


def _line(parts: list[str]) -> str:
    return f"| {' | '.join(parts)} |"


def _head(column: Column) -> str:
    unit = f" ({column.unit})" if column.unit else ""
    return escape(f"{column.title}{unit}{ARROWS[column.direction]}")


def _name(row: Row) -> str:
    return escape(f"{row.title}, {row.detail}" if row.detail else row.title)


def _cell(content: Table, cell: TableCell) -> str:
    text = escape(cell.text)
    text = f"**{text}**" if cell.mark == "best" else f"{text}†" if cell.mark == "level" else text
    text = f"({text})" if cell.doubtful else text
    numbers = ", ".join(str(number) for number in content.numbers(cell))
    marks = f"<sup>{numbers}</sup>" if numbers else ""
    interval = f" {escape(cell.interval)}" if cell.interval else ""
    return f"{text}{marks}{interval}"
