"""A finished figure in the forms that readers and writers need."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from reports.figures.colours import INK, QUIET, THEME
from reports.figures.halo import SVG_RULE

STYLE: Any = {  # matplotlib types its keys as literals
    "svg.hashsalt": "cosmos-bench",  # element ids depend on the drawing alone
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and themed
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine lays the figure out alike
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "path.simplify": False,
}


@dataclass(frozen=True)
class Picture:
    """One figure.

    Attributes:
        name: of its files, and of what is its own in a page.
        title: a heading for it.
        caption: what it shows, and what it leaves out.
    """

    name: str
    title: str
    figure: Figure
    caption: str
    dpi: int = 200

    @cached_property
    def svg(self) -> str:
        file = io.StringIO()
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        text = file.getvalue().replace("</style>", f"{SVG_RULE}</style>", 1)
        return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"

    @cached_property
    def themed(self) -> str:
        """The `<svg>` element alone, its colours replaced by the page's variables."""
        element = re.sub(r" *<metadata>.*?</metadata>\n", "", self.svg[self.svg.index("<svg") :], flags=re.DOTALL)
        for colour, variable in THEME.items():
            element = element.replace(colour, f"var({variable})")
        return re.sub(r'<g id="[^"]*"', "<g", element)  # nothing refers to groups

    @cached_property
    def pdf(self) -> bytes:
        file = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            nothing: Any = {"CreationDate": None, "Creator": None, "Producer": None}
            self.figure.savefig(file, format="pdf", metadata=nothing)
        return file.getvalue()

    @cached_property
    def png(self) -> bytes:
        file = io.BytesIO()
        with matplotlib.rc_context(STYLE):
            nothing: Any = {"Software": None}
            self.figure.savefig(file, format="png", dpi=self.dpi, metadata=nothing)
        return file.getvalue()
