"""Lines that are named at their ends: each name in full, none over another, beside the axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.figures.axis import Axis
from reports.figures.colours import INK, PAPER, QUIET
from reports.figures.labels import apart
from reports.figures.looks import LineStyle, Look
from reports.figures.sheet import LEADING, AxesFrame, Sheet, lines_of, width_of

MOST_MARKS = 60  # on one line; of more points some have none, evenly
_AWAY = 10.0  # points between the axes and the names


@dataclass(frozen=True)
class NamedLine:
    """A line through points.

    Attributes:
        label: what stands at its end.
        bars: low and high end of the interval of each y, None where it has none.
        hollow: numbers of the points that are not to be trusted.
        marked: whether its points have marks.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    look: Look
    style: LineStyle = "solid"
    bars: Sequence[tuple[float, float] | None] = ()
    hollow: frozenset[int] = field(default_factory=frozenset)
    marked: bool = True


def named_lines(
    sheet: Sheet,
    x: Axis,
    y: Axis,
    lines: Sequence[NamedLine],
    *,
    place: tuple[float, float] | None = None,
    beside: bool = False,
    height: float | None = None,
) -> AxesFrame:
    """A frame with lines and their names; higher than usual where so many names need it."""
    small = sheet.size.small
    whole = place[1] if place else sheet.width
    names = [lines_of(line.label, small, 0.34 * whole) if line.label else [] for line in lines]
    heights = [len(parts) * small * LEADING + (1.0 if parts else 0.0) for parts in names]
    right = max((width_of(part, small) for parts in names for part in parts), default=-_AWAY) + _AWAY
    high = max(height or 72 * sheet.size.height, sum(heights))
    frame = AxesFrame(sheet, x, y, place=place, right=right, beside=beside, height=high)
    for line in lines:
        draw(frame, line)
    ends = [frame.points(line.x[-1], line.y[-1]) for line in lines]
    centres = apart([up for _, up in ends], heights, 0.0, frame.h)
    for (across, up), centre, size, parts in zip(ends, centres, heights, names, strict=True):
        if not parts:
            continue
        frame.stroke([(across + 3.0, up), (frame.w - 1.0, up), (frame.w + _AWAY - 3.0, centre)], QUIET, 0.5, z=1.0)
        for number, part in enumerate(parts):
            at = centre + size / 2 - (number + 0.5) * small * LEADING
            frame.write(frame.w + _AWAY, at, part, small, INK, va="center")
    return frame


def draw(frame: AxesFrame, line: NamedLine) -> None:
    """One line with its marks and its intervals."""
    size, colour = frame.size.mark - 0.5, line.look.colour
    bars = [(x, *bar) for x, bar in zip(line.x, line.bars, strict=False) if bar is not None]
    if bars:
        frame.draw(*(([x, x], [low, high]) for x, low, high in bars), colors=colour, linewidths=1.0, zorder=2.4)
    frame.axes.plot(
        line.x, line.y, color=colour, linestyle=line.style, linewidth=1.2, zorder=3, label=line.label or "_line",
        marker=line.look.marker if line.marked else "", markersize=size,
        markevery=max(1, math.ceil(len(line.x) / MOST_MARKS)),
    )  # fmt: skip
    if line.hollow and line.marked:
        x, y = [[values[number] for number in sorted(line.hollow)] for values in (line.x, line.y)]
        frame.axes.plot(
            x, y, color=colour, linestyle="", marker=line.look.marker, markersize=size,
            markerfacecolor=PAPER, zorder=3.1, label="_hollow",
        )  # fmt: skip
