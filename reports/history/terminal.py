"""A history for a terminal: plain text, no wider than the terminal but for commands, which are there to be copied."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from benchmarks.tracking.history.schema import History
from reports.history import text
from reports.numbers import significant
from reports.templating import printable

NARROWEST = 60
_INDENT = "   "


def write(history: History, width: int | None = None) -> str:
    """What was left out, where series break, what changed, and last, where the eye is, how much was read."""
    line_width = max(NARROWEST, width or shutil.get_terminal_size((80, 24)).columns)
    parts = [[_wrapped(note, line_width) for note in history.notes]]
    shown = [_wrapped(text.break_sentence(each), line_width) for each in history.breaks[: text.MOST_BREAKS]]
    more = len(history.breaks) - text.MOST_BREAKS
    if shown:
        parts.append(["Where series break:", *shown, *([f"and {more} more"] if more > 0 else [])])
    changed = history.changed
    for number, (series, change) in enumerate(changed, 1):
        values = f"{significant(change.before)} before, {significant(change.after)} after"
        lines = [
            _wrapped(f"{number}. {change.outcome}: {text.name_of(series)}", line_width),
            _indented(f"{values}: {text.size(series, change)}, p = {change.p:.2g}", line_width),
            _indented(f"between {text.between(series, change)}", line_width),
        ]
        if change.bisect:
            lines += [f"{_INDENT}{command}" for command in change.bisect]
        else:
            lines.append(_indented(f"No command: {change.no_bisect}.", line_width))
        parts.append(lines)
    if changed:
        parts.append([_wrapped(text.P_NOTE.format(f"{100 * history.level:g}"), line_width)])
    parts.append([_wrapped(text.sentence(history), line_width)])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def rows(columns: Sequence[str], values: Sequence[Sequence[object]]) -> str:
    """The answer to a question as columns under their names, numbers to the right; as wide as it is."""
    table = [[_line(name) for name in columns], *([_line(text.said(value)) for value in row] for row in values)]
    sizes = [max(len(row[i]) for row in table) for i in range(len(columns))]
    numeric = [all(row[i] is None or isinstance(row[i], (int, float)) for row in values) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(size) if right else cell.ljust(size)
            for cell, size, right in zip(row, sizes, numeric, strict=True)
        ).rstrip()
        for row in table
    )


def _line(said: str) -> str:
    return printable(" ".join(said.split()))


def _wrapped(said: str, line_width: int) -> str:
    return "\n".join(textwrap.wrap(_line(said), line_width, subsequent_indent=_INDENT, break_on_hyphens=False))


def _indented(said: str, line_width: int) -> str:
    return textwrap.indent(_wrapped(said, line_width - len(_INDENT)), _INDENT)
