"""Text with a halo of the paper's colour, so that a line which crosses it does not cut it."""

from __future__ import annotations

import re

from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.patheffects import Stroke
from matplotlib.text import Text

from reports.figures.colours import PAPER

WIDTH = 2.6  # of the stroke in points, one half of which is outside of a letter
_GROUP = "haloed"  # the id of such text in an SVG, until its halo is written
_MARKED = re.compile(rf'<g id="{_GROUP}">(\s*<text style=")')
_STYLE = f"paint-order: stroke; stroke: {PAPER}; stroke-width: {WIDTH}; stroke-linejoin: round; "


class HaloedText(Text):
    """Text that stays text in every form: matplotlib's own path effects would turn it into outlines.

    In an SVG the halo is a property of the text (`styled`); elsewhere its outlines are drawn beneath it.
    """

    def draw(self, renderer: RendererBase) -> None:
        if isinstance(self.get_figure(root=True).canvas, FigureCanvasSVG):
            self.set_gid(_GROUP)
            super().draw(renderer)
            self.set_gid(None)
            return
        self.set_path_effects([Stroke(linewidth=WIDTH, foreground=PAPER, joinstyle="round")])
        super().draw(renderer)
        self.set_path_effects([])
        super().draw(renderer)


def styled(svg: str) -> str:
    """A drawing with the halos of its texts written."""
    return _MARKED.sub(rf"<g>\1{_STYLE}", svg)
