"""One table in LaTeX, in as many parts as its layout asks for; each part is a float with notes of its own."""

from __future__ import annotations

from reports.latex.escaping import broken, escape
from reports.latex.fitting import GAP, fitted, head_lines, names_width, second_line, widths
from reports.latex.layouts import PAPER, Layout
from reports.latex.notes import how_to_read, shortened
from reports.latex.widths import width
from reports.table import Column, Row, RowGroup, Table, TableCell
from reports.templating import Raw

_ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "none": ""}


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
        _float(part, layout, _caption(content, index, len(parts)), label + (f"-{index}" if len(parts) > 1 else ""))
        for index, part in enumerate(parts, start=1)
    )
    return Raw("\n".join([*told, *floats]))


def _plain(text: str) -> str:
    """Text for a comment: one line of ASCII."""
    return escape(text).replace("{}", "")


def _caption(content: Table, index: int, count: int) -> str:
    return content.caption + (f" (part {index} of {count})" if count > 1 else "")


def _float(content: Table, layout: Layout, caption: str, label: str) -> str:
    names, columns = names_width(content, layout), widths(content, layout)
    whole = names + sum(GAP + one for one in columns)
    numbered = {note: number for number, note in enumerate(content.notes(), start=1)}
    head = [escape(content.head), *(_head(column, layout) for column in content.columns)]
    rows: list[list[str] | str] = [head]
    for block in content.blocks:
        rows += _block(block, layout, numbered, names, whole)
    lines = [
        rf"\begin{{{layout.environment}}}[tbp]",
        rf"\centering\fontsize{{{layout.size}}}{{{_leading(layout.size)}}}\selectfont\setlength{{\tabcolsep}}{{3pt}}",
        r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{5pt}",
        rf"\def\fine#1{{{{\fontsize{{{layout.small}}}{{{_leading(layout.small)}}}\selectfont #1}}}}",
        rf"\caption{{{escape(caption)}}}\label{{{label}}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * len(content.columns)}@{{}}}}",
        r"\toprule",
        *_aligned(rows),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(content, layout, numbered),
    ]
    return "\n".join([*lines, rf"\end{{{layout.environment}}}", ""])


def _leading(size: int) -> str:
    return f"{1.2 * size:.3g}"


def _aligned(rows: list[list[str] | str]) -> list[str]:
    """The rows as lines, their cells below each other; a line that is one already stays."""
    cells = [row for row in rows[1:] if isinstance(row, list)]
    places = range(len(rows[0]))
    sizes = [max((len(row[place]) for row in cells), default=0) for place in places]
    lines = []
    for row in rows:
        if isinstance(row, str):
            lines.append(row)
        else:
            end = row[len(places)] if len(row) > len(places) else r"\\"
            first, *others = row[: len(places)]
            text = " & ".join([first.ljust(sizes[0]), *(o.rjust(s) for o, s in zip(others, sizes[1:], strict=True))])
            lines.append(f"{text} {end}")
    return lines


def _block(
    block: RowGroup, layout: Layout, numbered: dict[str, int], names: float, whole: float
) -> list[list[str] | str]:
    span = len(block.rows[0].cells) + 1 if block.rows else 1
    title = rf"\itshape {escape(block.title)}"
    if width(block.title, layout.size) > whole:
        title = (
            rf"\parbox[t]{{{whole:.0f}pt}}{{\raggedright\itshape {_wrapping(block.title, whole, layout.size)}\strut}}"
        )
    lines: list[list[str] | str] = [r"\midrule", rf"\multicolumn{{{span}}}{{@{{}}l}}{{{title}}} \\"]
    for row in block.rows:
        below = [_fine(second_line(cell, layout)) for cell in row.cells]
        more = bool(row.detail) or any(below)
        lines.append([_name(row, layout, names), *(_value(cell, numbered) for cell in row.cells), r"\\[-1.5pt]" * more])
        if not more:
            lines[-1] = list(lines[-1][:-1])
        else:
            lines.append([_detail(row, layout, names), *below, r"\\[1.5pt]"])
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
        rf"\begin{{minipage}}{{{layout.width:.0f}pt}}\raggedright"
        rf"\fontsize{{{layout.notes}}}{{{_leading(layout.notes)}}}\selectfont",
        *told,
        r"\end{minipage}",
    ]
