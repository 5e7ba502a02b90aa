"""The report as LaTeX: a document that compiles, and its tables in a file of their own for papers.

Needs booktabs and what every LaTeX has (graphicx). All output is ASCII, so no input or font encoding matters.
"""

from __future__ import annotations

import math
import unicodedata
from itertools import pairwise

from reports.content import Report
from reports.table import Column, Row, RowGroup, Table, TableCell
from reports.templating import Raw, environment

COLUMNS = 8  # columns that fit beside the names on a page of 16 cm

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"$\$$",  # outside mathematics it would need a font that few have
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "`": r"\char96{}",
    "'": r"'{}",  # two in a row would become one closing quote
    "-": r"-{}",  # two in a row would become a dash
    "[": r"{[}",  # after a line break it would be taken for an option
    "]": r"{]}",
    "*": r"{*}",
    "?": r"?{}",  # ?` and !` would become Spanish marks
    "!": r"!{}",
    ",": r",{}",
    "−": r"$-$",
    "–": r"--",
    "—": r"---",
    "‘": r"`",
    "’": r"'",
    "“": r"``",
    "”": r"''",
    "…": r"\ldots{}",
    "†": r"$\dagger$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "µ": r"$\mu$",
    "°": r"$^{\circ}$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "ø": r"\o{}",
    "œ": r"\oe{}",
    "Æ": r"\AE{}",
    "Ø": r"\O{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
}
_ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "none": ""}


def escape(text: str) -> str:
    """Text that LaTeX sets as it is, on one line, in ASCII; a character it has no sign for is named, as [U+4E2D]."""
    return "".join(map(_character, " ".join(text.split())))


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if " " <= character <= "~":
        return character
    base, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) == 1 and marks[0] in _ACCENTS and base.isascii() and base.isalpha():
        dotless = rf"\{base}" if base in "ij" else base
        return rf"\{_ACCENTS[marks[0]]}{{{dotless}}}"
    return f"{{[}}U+{ord(character):04X}{{]}}"


def breakable(text: str) -> Raw:
    """Long words (hashes, commands, paths) that may be broken between any two characters, in typewriter."""
    return Raw(
        r"{\ttfamily " + r"\hskip0pt{}".join(" " if c == " " else escape(c) for c in " ".join(text.split())) + "}"
    )


def table(content: Table) -> Raw:
    """The table, in parts of about equal width where it is wide; the names are repeated in each."""
    width = len(content.columns)
    count = max(1, math.ceil(width / COLUMNS))
    cuts = [round(part * width / count) for part in range(count + 1)]
    parts = [content.part(start, stop) for start, stop in pairwise(cuts)]
    numbered = {note: number for number, note in enumerate(content.notes(), start=1)}
    return Raw("\n".join(_part(part, numbered, index, len(parts)) for index, part in enumerate(parts, start=1)))


def tables(report: Report) -> str:
    """Every table of the report, to be \\input by a document that loads booktabs."""
    written = [table(content) for section in report.sections for content in section.tables]
    return "% Needs \\usepackage{booktabs}.\n" + "\n".join(written) + "\n"


def write(report: Report, caption: str, study_caption: str = "") -> str:
    """The whole document; it reads `tables.tex` and `figure.pdf` beside it, and `study.pdf` where it has a caption."""
    legend = tuple(dict.fromkeys(line for section in report.sections for line in section.legend))
    return (
        environment("latex", escape, breakable=breakable)
        .get_template("report.tex")
        .render(report=report, caption=caption, study_caption=study_caption, legend=legend)
    )


def _part(content: Table, numbered: dict[str, int], index: int, count: int) -> str:
    caption = content.caption + (f" (part {index} of {count})" if count > 1 else "")
    suffix = f"-{index}" if count > 1 else ""
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{5pt}",
        rf"\caption{{{escape(caption)}}}\label{{tab:{content.name}{suffix}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * len(content.columns)}@{{}}}}",
        r"\toprule",
        " & ".join([escape(content.head), *(_head(column) for column in content.columns)]) + r" \\",
    ]
    for block in content.blocks:
        lines += _block(block, len(content.columns), numbered)
    lines += [r"\bottomrule", r"\end{tabular}"]
    notes = [rf"\textsuperscript{{{numbered[note]}}}\,{escape(note)}\par" for note in content.notes()]
    remarks = [rf"{escape(remark)}\par" for remark in content.remarks]
    if notes or remarks:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright", *notes, *remarks]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}", ""])


def _block(block: RowGroup, width: int, numbered: dict[str, int]) -> list[str]:
    lines = [r"\midrule", rf"\multicolumn{{{width + 1}}}{{@{{}}l}}{{\itshape {escape(block.title)}}} \\"]
    for row in block.rows:
        lines.append(" & ".join([_name(row), *(_value(cell, numbered) for cell in row.cells)]) + r" \\")
        if any(cell.interval for cell in row.cells) or row.detail:
            second = [rf"{{\scriptsize {escape(row.detail)}}}" if row.detail else "", *map(_interval, row.cells)]
            lines.append(r"\noalign{\vskip-1.5pt}" + " & ".join(second) + r" \\[1.5pt]")
    return lines


def _name(row: Row) -> str:
    return escape(row.title)


def _value(cell: TableCell, numbered: dict[str, int]) -> str:
    text = escape(cell.text)
    text = (
        rf"\textbf{{{text}}}" if cell.mark == "best" else text + r"\rlap{$\dagger$}" if cell.mark == "level" else text
    )
    text = f"({text})" if cell.doubtful else text
    numbers = ",".join(str(numbered[note]) for note in cell.notes)
    return text + (rf"\textsuperscript{{{numbers}}}" if numbers else "")


def _interval(cell: TableCell) -> str:
    return rf"{{\tiny {escape(cell.interval)}}}" if cell.interval else ""


def _head(column: Column) -> str:
    """The title in as many short lines as it has words that do not fit side by side, the unit below."""
    lines: list[str] = []
    for word in column.title.split():
        if lines and len(lines[-1]) + len(word) < 11:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    stacked = [escape(line) for line in lines] or [""]
    stacked[-1] += _ARROWS[column.direction]
    if column.unit:
        stacked.append(rf"{{\scriptsize {escape(column.unit)}}}")
    return r"\shortstack[r]{" + r"\\".join(stacked) + "}" if len(stacked) > 1 else stacked[0]
