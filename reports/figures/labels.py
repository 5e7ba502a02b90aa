"""Where labels stand: beside their points, none over another, none over a mark; what finds no place gets None.

Plain geometry in points of the page, the origin at the lower left of the axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from benchmarks.stats.intervals import Array

GAPS = (1.0, 4.0, 9.0, 16.0, 26.0, 38.0)  # from a mark to its label, in points
ANGLES = tuple(
    math.radians(a)
    for a in (20, -20, 160, -160, 0, 180, 10, -10, 170, -170, 50, -50, 130, -130, 90, -90, 70, -70, 110, -110)
)
LEADER = 5.0  # a label farther from its mark than this has a line to it
APART = 1.2  # between two labels
_CROSSED = 1.5  # cost of a point of a line that a label covers, in points of distance
_DOTS = 2.0  # points between the dots that stand for a line


@dataclass(frozen=True)
class Box:
    """A rectangle, by its lower left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Box, apart: float = 0.0) -> bool:
        return (
            self.x < other.x + other.width + apart
            and other.x < self.x + self.width + apart
            and self.y < other.y + other.height + apart
            and other.y < self.y + self.height + apart
        )


@dataclass(frozen=True)
class Placed:
    """Where a label stands, and the line from its mark to it where it stands far off."""

    box: Box
    leader: tuple[tuple[float, float], tuple[float, float]] | None


def dots(line: Sequence[tuple[float, float]]) -> Array:
    """Points along a line, close enough to know what it crosses, shape (n, 2)."""
    found = [np.empty((0, 2))]
    for (x0, y0), (x1, y1) in pairwise(line):
        count = max(2, int(math.hypot(x1 - x0, y1 - y0) / _DOTS) + 1)
        found.append(np.linspace((x0, y0), (x1, y1), count))
    return np.concatenate(found)


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    mark: float,
    lines: Array | None = None,
    taken: Sequence[Box] = (),
    marks: Sequence[tuple[float, float]] | None = None,
    gaps: Sequence[float] = GAPS,
) -> list[Placed | None]:
    """A place for each label, the most crowded points first; None where none is free.

    Args:
        points: centres of the marks that labels belong to.
        sizes: width and height of each label.
        mark: diameter of a mark, which no label covers.
        lines: points on lines, shape (n, 2), that labels had better not cover, though they may.
        taken: boxes where nothing may stand.
        marks: centres of all marks; `points`, if None.
    """
    centres = np.asarray(points if marks is None else marks, dtype=float).reshape(-1, 2)
    soft = np.empty((0, 2)) if lines is None else lines
    boxes = [[box.x, box.y, box.x + box.width, box.y + box.height] for box in taken]
    leaders: list[Array] = []
    found: list[Placed | None] = [None] * len(points)
    own = np.asarray(points, dtype=float).reshape(-1, 2)
    near = [int(np.sum(np.hypot(*(centres - point).T) < 60.0)) for point in own]
    for number in sorted(range(len(points)), key=lambda n: (-near[n], n)):
        x, y = points[number]
        best: tuple[float, list[float], Array | None] | None = None
        for corners, gap in _candidates(x, y, *sizes[number], mark, gaps, bounds):
            if best is not None and gap >= best[0]:
                break
            cost = _cost(corners, gap, (x, y), bounds, mark, centres, boxes, leaders, soft)
            if cost is not None and (best is None or cost[0] < best[0]):
                best = (cost[0], corners, cost[1])
        if best is None:
            continue
        _, (x0, y0, x1, y1), leader = best
        boxes.append([x0, y0, x1, y1])
        ends = None
        if leader is not None:
            leaders.append(leader)
            ends = ((float(leader[0, 0]), float(leader[0, 1])), (float(leader[-1, 0]), float(leader[-1, 1])))
        found[number] = Placed(Box(x0, y0, x1 - x0, y1 - y0), ends)
    return found


def _candidates(
    x: float, y: float, width: float, height: float, mark: float, gaps: Sequence[float], bounds: Box
) -> list[tuple[list[float], float]]:
    """Corners of the boxes that a label may have, nearest first, with how far each is off; what would stand across an
    edge is moved inside."""
    found = []
    for gap in gaps:
        for order, angle in enumerate(ANGLES):
            across, up = math.cos(angle), math.sin(angle)
            reach = mark / 2 + gap
            cx = x + across * reach + max(-1.0, min(1.0, 1.5 * across)) * width / 2
            cy = y + up * reach + max(-1.0, min(1.0, 1.5 * up)) * height / 2
            left = max(bounds.x, min(cx - width / 2, bounds.x + bounds.width - width))
            bottom = max(bounds.y, min(cy - height / 2, bounds.y + bounds.height - height))
            corners = [left, bottom, left + width, bottom + height]
            found.append((corners, gap + 0.05 * order))
    return found


def _cost(
    corners: list[float],
    gap: float,
    point: tuple[float, float],
    bounds: Box,
    mark: float,
    centres: Array,
    boxes: Sequence[Sequence[float]],
    leaders: Sequence[Array],
    soft: Array,
) -> tuple[float, Array | None] | None:
    """What a place costs, and the leader it needs; None where something is in the way."""
    x0, y0, x1, y1 = corners
    if x1 > bounds.x + bounds.width + 1e-6 or y1 > bounds.y + bounds.height + 1e-6:  # larger than there is room
        return None
    half = mark / 2
    if _inside(centres, x0 - half, y0 - half, x1 + half, y1 + half).any():
        return None
    there = np.asarray(boxes, dtype=float).reshape(-1, 4)
    apart = (there[:, 0] < x1 + APART) & (x0 < there[:, 2] + APART) & (there[:, 1] < y1 + APART)
    if (apart & (y0 < there[:, 3] + APART)).any() or any(_inside(line, x0, y0, x1, y1).any() for line in leaders):
        return None
    leader = None
    if gap >= LEADER:
        end = (max(x0, min(point[0], x1)), max(y0, min(point[1], y1)))
        leader = dots((point, end))
        path = leader[np.hypot(*(leader - point).T) > half]
        others = centres[np.hypot(*(centres - point).T) > 0.1]
        if any(_inside(path, *box).any() for box in boxes):
            return None
        if len(others) and len(path) and np.min(np.hypot(*(path[:, None] - others[None]).T)) < half:
            return None
    crossed = int(_inside(soft, x0, y0, x1, y1).sum())
    return gap + _CROSSED * crossed, leader


def _inside(dots_there: Array, x0: float, y0: float, x1: float, y1: float) -> npt.NDArray[np.bool_]:
    x, y = dots_there[:, 0], dots_there[:, 1]
    return np.asarray((x > x0) & (x < x1) & (y > y0) & (y < y1))


def apart(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Centres of labels in one column, as near to where they are wanted as they can be without overlapping.

    Where all of them together are higher than the column they go on above it.
    """
    order = sorted(range(len(wanted)), key=lambda n: (wanted[n], n))
    groups: list[tuple[list[int], float]] = []  # labels that touch, and the height of their middle

    def middle(members: list[int]) -> float:
        total = sum(heights[n] for n in members)
        below, wishes = 0.0, 0.0
        for n in members:
            wishes += wanted[n] - (below + heights[n] / 2)
            below += heights[n]
        bottom = max(low, min(wishes / len(members), high - total))
        return bottom + total / 2

    for number in order:
        members = [number]
        middle_ = middle(members)
        while groups and middle_ - _total(members, heights) / 2 < groups[-1][1] + _total(groups[-1][0], heights) / 2:
            members = groups.pop()[0] + members
            middle_ = middle(members)
        groups.append((members, middle_))
    found = [0.0] * len(wanted)
    for members, centre in groups:
        bottom = centre - _total(members, heights) / 2
        for n in members:
            found[n] = bottom + heights[n] / 2
            bottom += heights[n]
    return found


def _total(members: Sequence[int], heights: Sequence[float]) -> float:
    return sum(heights[n] for n in members)
