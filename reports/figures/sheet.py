"""A figure that is laid out in points: rows of axes, each as high as what stands over and under it needs.

Margins are worked out from what is written, so that the layout needs no trial drawing, and text is never cut.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from reports.figures.axis import Axis, fitted
from reports.figures.colours import GRID, INK, PAPER
from reports.figures.halo import HaloedText
from reports.figures.looks import LineStyle, Marker
from reports.figures.picture import STYLE
from reports.figures.sizes import FigureSize
from reports.templating import printable

LEADING = 1.25  # from line to line, in heights of the type
EDGE = 3.0  # points around the whole figure
_TICK, _FINE = 3.0, 8  # length of a tick; in how many parts of a point text is measured


@lru_cache(1)
def _measure() -> Any:
    renderer: Any = RendererAgg
    return renderer(8, 8, 72 * _FINE)


@lru_cache(20_000)
def width_of(text: str, points: float) -> float:
    """How wide a line of text is, in points."""
    with matplotlib.rc_context(STYLE):
        font = FontProperties(family="DejaVu Sans", size=points)
        return float(_measure().get_text_width_height_descent(text, font, False)[0]) / _FINE


def lines_of(text: str, points: float, width: float) -> list[str]:
    """Text in lines that are no wider than `width` points; nothing is left out, and what is too long is broken."""
    line = printable(re.sub(r"[ \t\n\r\f\v]+", " ", text))  # a space that must not be broken at stays one
    if width_of(line, points) <= width or not line:
        return [line]
    likely = int(1.5 * len(line) * width / width_of(line, points))
    for count in range(min(len(line) - 1, max(1, likely)), 0, -1):  # the most characters a line that are narrow enough
        lines = textwrap.wrap(line, count, break_on_hyphens=False)
        if count == 1 or all(width_of(part, points) <= width for part in lines):
            return lines
    return [line]


@dataclass(frozen=True)
class KeyItem:
    """A line of a key: what looks so is called `label`. Without a mark or a line it has none."""

    label: str
    colour: str
    marker: Marker = ""
    line: LineStyle | None = None


class Sheet:
    """A figure of one size, which frames are added to from top to bottom."""

    def __init__(self, size: FigureSize) -> None:
        self.size = size
        self.width = 72 * size.width - 2 * EDGE
        with matplotlib.rc_context(STYLE):
            self.figure = Figure(figsize=(size.width, size.height), facecolor=PAPER, dpi=72)
        self.rows: list[list[AxesFrame]] = []

    def columns(self, count: int, gap: float = 14.0) -> list[tuple[float, float]]:
        """The left end and the width of so many frames beside each other."""
        width = (self.width - gap * (count - 1)) / count
        return [(number * (width + gap), width) for number in range(count)]

    def finish(self) -> Figure:
        """Give the figure its height and each frame its place."""
        heights = [[max(getattr(f, side) for f in row) for side in ("above", "h", "below")] for row in self.rows]
        whole_height = sum(map(sum, heights)) + 2 * EDGE
        whole_width = self.width + 2 * EDGE
        self.figure.set_size_inches(whole_width / 72, whole_height / 72)
        top = whole_height - EDGE
        for row, (above, height, below) in zip(self.rows, heights, strict=True):
            for frame in row:
                left = (EDGE + frame.left) / whole_width
                bottom = (top - above - frame.h) / whole_height
                frame.axes.set_position((left, bottom, frame.w / whole_width, frame.h / whole_height))
            top -= above + height + below
        return self.figure


class AxesFrame:
    """One set of axes, `w` by `h` points, with its ticks and titles; more may be written around it.

    Attributes:
        above, below: points that are taken over and under the axes.
    """

    def __init__(
        self,
        sheet: Sheet,
        x: Axis,
        y: Axis,
        *,
        place: tuple[float, float] | None = None,
        right: float = 0.0,
        height: float | None = None,
        slanted: bool = False,
        beside: bool = False,
        fit: bool = True,
    ) -> None:
        """
        Args:
            place: left end and width of all that belongs to the frame; the whole sheet, if None.
            right: points to be left free to the right of the axes.
            height: of the axes in points.
            slanted: whether what stands at the ticks of x is long.
            beside: whether it stands in a row with the frame before it.
            fit: whether ticks may be fewer, where there is little room.
        """
        self.size = sheet.size
        small, text = self.size.small, self.size.text
        begin, width = place or (0.0, sheet.width)
        if fit:
            y = fitted(y, height or 72 * self.size.height, lambda label: 1.6 * small)
        titles = lines_of(y.title, text, height or 72 * self.size.height) if y.title else []
        ticks = max((width_of(label, small) for _, label in y.ticks), default=0.0)
        margin = len(titles) * text * LEADING + (2.0 if titles else 0.0) + ticks + _TICK + 2.0
        last = width_of(x.ticks[-1][1], small) / 2 if x.ticks and not slanted else 0.0
        overhang = max(0.0, last - (1 - x.share(x.ticks[-1][0])) * width) if x.ticks else 0.0
        self.left = begin + margin
        self.right = max(right, overhang)
        self.w = width - margin - self.right
        self.h = height or 72 * self.size.height
        self.above = 4.0
        if fit and not slanted:
            x = fitted(x, self.w, lambda label: width_of(label, small) + 5.0)
        self.x, self.y = x, y
        with matplotlib.rc_context(STYLE):
            self.axes = sheet.figure.add_axes((0, 0, 1, 1))
            self._dress(slanted)
        longest = max((width_of(label, small) for _, label in x.ticks), default=0.0)
        ticks_high = 0.55 * longest + small if slanted else small * LEADING
        self.below = _TICK + 2.0 + ticks_high
        for line in lines_of(x.title, text, self.w) if x.title else ():
            self.below += text * LEADING
            self.write(self.w / 2, -self.below + 1.0, line, text, INK, ha="center", va="bottom")
        self.below += 5.0
        for number, line in enumerate(titles):
            down = margin - (number + 0.5) * text * LEADING
            self.write(-down, self.h / 2, line, text, INK, ha="center", va="center", rotation=90)
        if beside:
            sheet.rows[-1].append(self)
        else:
            sheet.rows.append([self])

    def _dress(self, slanted: bool) -> None:
        axes, small = self.axes, self.size.small
        for axis, direction in ((self.x, "x"), (self.y, "y")):
            if axis.log:
                (axes.set_xscale if direction == "x" else axes.set_yscale)("log")
            of = axes.xaxis if direction == "x" else axes.yaxis
            of.set_major_locator(FixedLocator([value for value, _ in axis.ticks]))
            of.set_major_formatter(FixedFormatter([printable(label) for _, label in axis.ticks]))
            of.set_minor_locator(NullLocator())
        axes.set_xlim(self.x.low, self.x.high)
        axes.set_ylim(self.y.low, self.y.high)
        axes.set_facecolor("none")
        axes.grid(True, color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_linewidth(0.7)
        axes.tick_params(length=_TICK, width=0.7, pad=2.0, labelsize=small)
        if slanted:
            for label in axes.get_xticklabels():
                label.set(rotation=30, ha="right", rotation_mode="anchor")

    def points(self, x: float, y: float) -> tuple[float, float]:
        """Where values are, in points from the lower left of the axes."""
        return self.x.share(x) * self.w, self.y.share(y) * self.h

    def write(
        self, x: float, y: float, text: str, points: float, colour: str = INK, *, haloed: bool = False, **how: Any
    ) -> None:
        """A line of text at a place in points from the lower left of the axes; `haloed` where lines may cross it."""
        how = {"transform": self.axes.transAxes, "clip_on": False, "parse_math": False, **how}
        kind = HaloedText if haloed else Text
        self.axes.add_artist(kind(x / self.w, y / self.h, text, fontsize=points, color=colour, **how))

    def stroke(
        self, line: Sequence[tuple[float, float]], colour: str, width: float, style: LineStyle = "solid", z: float = 2.0
    ) -> None:
        """A line through places in points."""
        x, y = [px / self.w for px, _ in line], [py / self.h for _, py in line]
        how = {"color": colour, "linewidth": width, "linestyle": style, "zorder": z, "clip_on": False}
        self.axes.add_artist(Line2D(x, y, transform=self.axes.transAxes, **how))  # type: ignore[arg-type]

    def title(self, text: str) -> None:
        """What the axes are of, over all that stands over them."""
        lines = lines_of(text, self.size.text, self.w + self.right)
        self.above += 2.0
        for line in reversed(lines):
            self.write(0, self.h + self.above, line, self.size.text, INK, va="bottom")
            self.above += self.size.text * LEADING
        self.above += 2.0

    def key(self, items: Sequence[KeyItem], beyond: float | None = None) -> None:
        """The names of what is drawn, each with its colour, mark and line, in as many lines as they need, over the axes
        and as many points beyond them; the frame's own margin, if None."""
        small = self.size.small
        handle = 24.0 if any(item.line for item in items) else 12.0
        width = self.w + (self.right if beyond is None else beyond)
        lines: list[list[tuple[float, str, KeyItem | None]]] = [[]]
        at = 0.0
        for item in items:
            for number, part in enumerate(lines_of(item.label, small, width - handle - 4)):
                needs = handle + 4 + width_of(part, small) + 10
                if number or (lines[-1] and at + needs - 10 > width):
                    lines.append([])
                    at = 0.0
                lines[-1].append((at, part, None if number else item))
                at += needs
        for line in reversed(lines) if items else ():
            middle = self.h + self.above + small * LEADING / 2
            for start, part, known in line:
                if known is not None:
                    self._handle(start, start + handle, middle, known)
                self.write(start + handle + 4, middle, part, small, INK, va="center")
            self.above += small * LEADING + 1.0
        self.above += 2.0

    def _handle(self, x0: float, x1: float, y: float, item: KeyItem) -> None:
        if item.line is not None:
            self.stroke([(x0, y), (x1, y)], item.colour, 1.2, style=item.line)
        if item.marker:
            self.mark((x0 + x1) / 2, y, item.colour, item.marker)

    def mark(self, x: float, y: float, colour: str, marker: Marker) -> None:
        """A mark at a place in points."""
        self.axes.add_artist(
            Line2D(
                [x / self.w],
                [y / self.h],
                color=colour,
                marker=marker,
                markersize=self.size.mark,
                linestyle="",
                transform=self.axes.transAxes,
                clip_on=False,
            )
        )

    def beneath(self, lines: Sequence[str]) -> None:
        """Lines of text under all that stands under the axes."""
        for line in lines:
            self.below += self.size.small * LEADING
            self.write(0, -self.below + 2.0, line, self.size.small, INK, va="bottom")
        self.below += 3.0 if lines else 0.0

    def draw(self, *lines: tuple[Sequence[float], Sequence[float]], **how: object) -> None:
        """Lines through values, as one artist."""
        self.axes.add_collection(LineCollection([list(zip(x, y, strict=True)) for x, y in lines], **how), autolim=False)  # type: ignore[arg-type]
