"""One table in LaTeX, in as many parts as its layout asks for; each part is a float with notes of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from reports.latex.escaping import broken, escape
from reports.latex.fitting import FittedPart, fitted, head_lines, second_line, widths
from reports.latex.layouts import PAPER, Layout
from reports.latex.notes import how_to_read, shortened
from reports.latex.widths import width
from reports.table import Column, Row, RowGroup, Table, TableCell
from reports.templating import Raw

_ASCII = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "±": "+-", "×": "x", "≤": "<=", "†": "dagger", "“": '"', "”": '"', "’": "'"}
)
_NEARLY = 0.7
_ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "none": ""}


class _Line(NamedTuple):
    """The cells of a line of a table, and how it ends."""

    cells: tuple[str, ...]
    end: str = r"\\"


def table(content: Table, layout: Layout = PAPER, prefix: str = "") -> Raw:
    """The table in parts that fit into the layout; the names are repeated in each.

    Labels are `tab:PREFIX-NAME`, with the number of the part where there are several. What the remarks say stands above
    the table as a comment, for whoever writes the text around it.
    """
    short = shortened(content)
    parts = fitted(short, layout)
    label = f"tab:{prefix}-{content.name}" if prefix else f"tab:{content.name}"
    told = [f"% {_plain(remark)}" for remark in content.remarks]
    floats = (
        _float(part, layout, _caption(content, index, len(parts)), label + (f"-part-{index}" if len(parts) > 1 else ""))
        for index, part in enumerate(parts, start=1)
    )
    return Raw("\n".join([*told, *floats]))


def _plain(text: str) -> str:
    """Text for a comment: one line of ASCII."""
    return " ".join(text.translate(_ASCII).encode("ascii", "replace").decode().split())


def _caption(content: Table, index: int, count: int) -> str:
    return content.caption + (f" (part {index} of {count})" if count > 1 else "")


def _float(part: FittedPart, layout: Layout, caption: str, label: str) -> str:
    content, names = part.table, part.names
    columns = widths(content, layout)
    whole = names + sum(layout.gap + one for one in columns)
    numbered = {note: number for number, note in enumerate(content.notes(), start=1)}
    head = _Line((escape(content.head), *(_head(column, layout) for column in content.columns)))
    body = [line for block in content.blocks for line in _block(block, layout, numbered, names, whole)]
    lines = [
        rf"\begin{{{layout.environment}}}[tbp]",
        rf"\centering{_type(layout.size)}\setlength{{\tabcolsep}}{{{layout.gap / 2:g}pt}}",
        r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{5pt}",
        rf"\long\def\fine#1{{{{{_type(layout.small)} #1}}}}",
        rf"\caption{{{escape(caption)}}}\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * len(content.columns)}@{{}}}}",
        r"\toprule",
        *_aligned([head, *body]),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(content, layout, numbered),
    ]
    return "\n".join([*lines, rf"\end{{{layout.environment}}}", ""])


def _type(size: int) -> str:
    return rf"\fontsize{{{size}}}{{{1.2 * size:.3g}}}\selectfont"


def _aligned(lines: Sequence[_Line | str]) -> list[str]:
    """The lines as source, cells below each other; one that is source already stays."""
    every = [line.cells for line in lines if isinstance(line, _Line)]
    sizes = [max(len(cells[place]) for cells in every[1:]) for place in range(len(every[0]))] if every[1:] else []
    out = []
    for line in lines:
        if isinstance(line, _Line):
            first, *others = line.cells
            padded = (cell.rjust(size) for cell, size in zip(others, sizes[1:], strict=True))
            out.append(f"{' & '.join([first.ljust(sizes[0]), *padded])} {line.end}")
        else:
            out.append(line)
    return out


def _block(
    block: RowGroup, layout: Layout, numbered: dict[str, int], names: float, whole: float
) -> Iterator[_Line | str]:
    span = len(block.rows[0].cells) + 1
    yield r"\midrule"
    for line in _lines(block.title, whole, layout.size):
        title = rf"\itshape {escape(line)}"
        # A line that is nearly as wide as the table would make it wider, in another font than is counted with here.
        title = rf"\rlap{{{title}}}" if width(line, layout.size) > _NEARLY * whole else title
        yield rf"\multicolumn{{{span}}}{{@{{}}l}}{{{title}}} \\"
    for row in block.rows:
        cells = (_name(row, layout, names), *(_value(cell, numbered) for cell in row.cells))
        below = tuple(_fine(second_line(cell, layout)) for cell in row.cells)
        if row.detail or any(below):
            yield _Line(cells, r"\\[-1.5pt]")
            yield _Line((_detail(row, layout, names), *below), r"\\[1.5pt]")
        else:
            yield _Line(cells)


def _lines(text: str, room: float, size: int) -> list[str]:
    """The text in lines that are no wider than so many points, as far as its words allow."""
    lines = [""]
    words = (broken(word) if width(word, size) > room else [word] for word in text.split())
    for word in chain.from_iterable(words):
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _name(row: Row, layout: Layout, names: float) -> str:
    if width(row.title, layout.size) <= names:
        return escape(row.title)
    return rf"\parbox[t]{{{names:.0f}pt}}{{\raggedright {_wrapping(row.title, names, layout.size)}\strut}}"


def _detail(row: Row, layout: Layout, names: float) -> str:
    if width(row.detail, layout.small) <= names:
        return _fine(row.detail)
    return rf"\parbox[t]{{{names:.0f}pt}}{{\raggedright\fine{{{_wrapping(row.detail, names, layout.small)}\par}}}}"


def _wrapping(text: str, room: float, size: int) -> str:
    """Text for a paragraph of so many points, in which a word that takes much of a line may be broken."""
    words = []
    for place, word in enumerate(text.split()):
        pieces = broken(word) if width(word, size) > room / 2 else [word]
        words.append(r"\allowbreak{}".join(escape(piece, within=place > 0) for piece in pieces))
    return " ".join(words)


def _fine(text: str) -> str:
    return rf"\fine{{{escape(text, within=True)}}}" if text else ""


def _value(cell: TableCell, numbered: dict[str, int]) -> str:
    text = escape(cell.text)
    text = (
        rf"\textbf{{{text}}}" if cell.mark == "best" else text + r"\rlap{$\dagger$}" if cell.mark == "level" else text
    )
    text = f"({text})" if cell.doubtful else text
    numbers = ",".join(str(numbered[note]) for note in cell.notes)
    return text + (rf"\textsuperscript{{{numbers}}}" if numbers else "")


def _head(column: Column, layout: Layout) -> str:
    """The title in short lines, the unit below."""
    stacked = list(map(escape, head_lines(column))) or [""]
    stacked[-1] += _ARROWS[column.direction]
    if column.unit:
        stacked.append(_fine(column.unit))
    return r"\shortstack[r]{" + r"\\".join(stacked) + "}" if len(stacked) > 1 else stacked[0]


def _notes(content: Table, layout: Layout, numbered: dict[str, int]) -> list[str]:
    told = [
        rf"\textsuperscript{{{number}}}\,{_wrapping(note, layout.width, layout.notes)}\par"
        for note, number in numbered.items()
    ]
    told += [
        rf"{_wrapping(line, layout.width, layout.notes)}\par"
        for line in (*how_to_read(content, layout), *content.brief)
    ]
    if not told:
        return []
    return [
        r"\par\smallskip",
        rf"\begin{{minipage}}{{{layout.width:.0f}pt}}\raggedright{_type(layout.notes)}",
        *told,
        r"\end{minipage}",
    ]
