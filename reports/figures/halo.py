"""A halo of the paper's colour around text, which a line then crosses without cutting it; text stays text."""

from __future__ import annotations

from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.patheffects import Stroke
from matplotlib.text import Text

from reports.figures.colours import PAPER

WIDTH = 2.0  # of the stroke in points, one half of which is outside of a letter

# Programs that do not know the order would paint over the letters; they pass over a condition that they do not know.
SVG_RULE = (
    f"@supports (paint-order: stroke) {{ text {{ paint-order: stroke; stroke: {PAPER}; stroke-width: {WIDTH:g}px }} }}"
)


class HaloedText(Text):
    """Text over its own outlines: matplotlib's path effects by themselves would leave outlines alone.

    An SVG has `SVG_RULE` instead, which follows the font that is there.
    """

    def draw(self, renderer: RendererBase) -> None:
        figure = self.get_figure(root=True)
        if figure is None or not isinstance(figure.canvas, FigureCanvasSVG):
            self.set_path_effects([Stroke(linewidth=WIDTH, foreground=PAPER, joinstyle="round")])
            super().draw(renderer)
            self.set_path_effects([])
        super().draw(renderer)
