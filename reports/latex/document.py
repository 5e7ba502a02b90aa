"""The report as LaTeX: a document that compiles, and its tables in a file of their own for papers."""

from __future__ import annotations

from collections.abc import Sequence

from reports.content import Report
from reports.latex.escaping import breakable, escape
from reports.latex.layouts import PAPER, Layout
from reports.latex.tables import table
from reports.table import Table
from reports.templating import environment


def tables(content: Sequence[Table], layout: Layout = PAPER, prefix: str = "") -> str:
    """Tables in a file to be \\input by a document that loads booktabs."""
    written = [table(one, layout, prefix) for one in content]
    return f"% Needs \\usepackage{{booktabs}}. Fits {layout.where}.\n" + "\n".join(written)


def write(report: Report, caption: str, study_caption: str = "") -> str:
    """The whole document; it reads `tables.tex` and `figure.pdf` beside it, and `study.pdf` where it has a caption."""
    legend = tuple(dict.fromkeys(line for section in report.sections for line in section.legend))
    return (
        environment("latex", escape, breakable=breakable)
        .get_template("report.tex")
        .render(report=report, caption=caption, study_caption=study_caption, legend=legend)
    )
