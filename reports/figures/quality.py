"""Quality against speed, with regions of confidence and the front, and against network calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, ndtri

from reports.columns import ScoreColumn
from reports.curves.knobs import curves_of
from reports.figures.axis import Axis, linear, logarithmic
from reports.figures.colours import INK, PAPER, QUIET
from reports.figures.labels import Box, Placed, apart, dots, place
from reports.figures.looks import LineStyle, Look, looks
from reports.figures.picture import Picture
from reports.figures.sheet import LEADING, AxesFrame, KeyItem, Sheet, lines_of, width_of
from reports.figures.sizes import FigureSize
from reports.front import is_placed
from reports.legend import covered, has_intervals
from reports.numbers import listed, percent
from reports.panels import ELSEWHERE, SCRATCH, Entry, Panel
from reports.quantities import LEVEL, Quantity
from reports.templating import printable

# Semi-axes of a region of two independent quantities that holds both at once, in halves of their own intervals.
JOINT = math.sqrt(float(chdtri(2, 1 - LEVEL))) / float(ndtri((1 + LEVEL) / 2))
FRONTS: Mapping[str, LineStyle] = {SCRATCH: "solid", ELSEWHERE: (0, (4, 2))}
_FAR = (1.0, 2.0, 3.5, 5.5, 9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 65.0)  # from a mark to its number, in points
_TURN = np.linspace(0, 2 * np.pi, 49)


@dataclass(frozen=True)
class PlacedEntry:
    """An entry where it stands in a figure."""

    entry: Entry
    x: Quantity
    y: Quantity
    doubtful: bool = False

    @property
    def place(self) -> tuple[float, float]:
        return self.x.value or 0.0, self.y.value or 0.0


def against_speed(
    titles: Sequence[str], panels: Sequence[Panel], fronts: Sequence[Mapping[str, float]], size: FigureSize
) -> Picture:
    """One set of axes per panel: the headline score against texts per second.

    `fronts` gives for each panel the share of draws in which an entry is on the front.
    """
    sheet = Sheet(size)
    for title, panel, front in zip(titles, panels, fronts, strict=True):
        points = speed_points(panel)
        frame = _frame(sheet, panel, points, "Texts per second (log scale)", region_ends)
        if frame is None:
            continue
        if not points:
            frame.write(frame.w / 2, frame.h / 2, "No score has a speed", size.small, QUIET, ha="center", va="center")
        for point in points:
            _draw_region(frame, point, _look(panel, point.entry), _is_share(panel, point.entry))
        stairs = [_draw_front(frame, panel, track, entries) for track, entries in front_of(panel).items()]
        sure = {key: percent(share).replace(" ", "\N{NO-BREAK SPACE}") for key, share in front.items()}
        _finish(frame, panel, points, title if len(panels) > 1 else "", sure, [line for line in stairs if line])
    return Picture("figure", "Quality against speed", sheet.finish(), speed_caption(panels, fronts), size.dpi)


def against_calls(titles: Sequence[str], panels: Sequence[Panel], size: FigureSize) -> Picture | None:
    """The headline score against network calls for a text; None where no record says these."""
    if not any(call_points(panel) for panel in panels):
        return None
    sheet = Sheet(size)
    for title, panel in zip(titles, panels, strict=True):
        points = call_points(panel)
        frame = _frame(sheet, panel, points, "Network calls for a text (log scale)", lambda point: (point.x, point.y))
        if frame is None:
            continue
        for point in points:
            if point.y.low is not None and point.y.high is not None:
                x = point.place[0]
                colour = _look(panel, point.entry).colour
                frame.draw(([x, x], [point.y.low, point.y.high]), colors=colour, linewidths=1.1, zorder=2.4)
        _finish(frame, panel, points, title if len(panels) > 1 else "", {}, [])
    said = [
        "Quality against the calls of the network that is called at every step, for one text made alone where that was "
        "timed. Bars are 95 % intervals of the score; settings of a training that differ in one number are joined.",
        *(covered(panel) for panel in panels),
        *(_left_out(panel, call_points(panel), "a score or a count of calls") for panel in panels),
    ]
    return Picture("calls", "Quality against network calls", sheet.finish(), sentences(said), size.dpi)


def speed_points(panel: Panel) -> tuple[PlacedEntry, ...]:
    """The trained entries that have both a headline score and a throughput."""
    column = panel.headline
    return tuple(
        PlacedEntry(entry, entry.throughput, score, bool(entry.throughput_doubts))
        for entry in panel.trained
        if (score := _score(column, entry)) is not None and entry.throughput.value
    )


def call_points(panel: Panel) -> tuple[PlacedEntry, ...]:
    """The same with a count of calls."""
    column = panel.headline
    return tuple(
        PlacedEntry(entry, entry.calls, score)
        for entry in panel.trained
        if (score := _score(column, entry)) is not None and entry.calls.value
    )


def front_of(panel: Panel) -> dict[str, tuple[Entry, ...]]:
    """By track: the entries that no other of it is at least as good and as fast as, and better in one; slowest first.

    An entry whose throughput is not valid is on none, and keeps none off it.
    """
    column = panel.headline
    found: dict[str, tuple[Entry, ...]] = {}
    if column is None:
        return found
    sign = -1.0 if column.direction == "lower" else 1.0
    for track, entries in panel.tracks.items():
        placed = [(e.throughput.value or 0.0, sign * _value(column, e), e) for e in entries if is_placed(column, e)]
        best, front = -math.inf, []
        for _, quality, entry in sorted(placed, key=lambda one: (-one[0], -one[1])):
            if quality > best:
                best = quality
                front.append(entry)
        if len(placed) > 1:
            found[track] = tuple(reversed(front))
    return found


def speed_caption(panels: Sequence[Panel], fronts: Sequence[Mapping[str, float]]) -> str:
    """What the figure shows, and what it leaves out."""
    said = ["Quality against speed."]
    if any(map(speed_points, panels)):
        said.append(
            "A shaded region holds score and throughput together at 95 %, taken for independent; settings of a "
            "training that differ in one number are joined; dashed grey lines are for scale, of what was not trained "
            "here and whose speed means nothing."
        )
    said += [covered(panel) for panel in panels if has_intervals(panel)]
    if any(front_of(panel) for panel in panels):
        said.append(
            "Stairs are the front of each track, of the values themselves: nothing in the track is as good and as fast."
        )
    if any(fronts):
        said.append(
            "Percent beside a mark: the share of draws of texts, seeds and timed batches in which it is on the front "
            "of its track."
        )
    for panel in panels:
        points = speed_points(panel)
        said.append(_left_out(panel, points, "a score or a timing"))
        if any(point.doubtful for point in points):
            said.append("Hollow marks: the throughput is not valid, and they are on no front.")
    return sentences(said)


def region(point: PlacedEntry, share: bool = False) -> tuple[list[float], list[float]] | None:
    """The outline of the region that holds both quantities of a point at once, at 95 %: four quarters of ellipses in
    the logarithm of x and in y; None where x or y has no interval.

    Args:
        share: whether y lies between 0 and 1.
    """
    x, y = point.place
    ends = (point.x.low, point.x.high, point.y.low, point.y.high)
    if any(end is None for end in ends) or not x or not point.x.low:
        return None
    left, right, down, up = (float(end or 0.0) for end in ends)
    across, along = np.cos(_TURN), np.sin(_TURN)
    widths = JOINT * np.where(across > 0, math.log(max(right, x) / x), math.log(x / min(left, x)))
    heights = JOINT * np.where(along > 0, max(0.0, up - y), max(0.0, y - down))
    xs, ys = x * np.exp(widths * across), y + heights * along
    if share:
        ys = np.clip(ys, 0.0, 1.0)
    return xs.tolist(), ys.tolist()


def region_ends(point: PlacedEntry) -> tuple[Quantity, Quantity]:
    """A point and the ends of its region, for the axes."""
    outline = region(point)
    if outline is None:
        return point.x, point.y
    xs, ys = outline
    return Quantity(point.x.value, min(xs), max(xs)), Quantity(point.y.value, min(ys), max(ys))


def _score(column: ScoreColumn | None, entry: Entry) -> Quantity | None:
    score = column.scores.get(entry.key) if column else None
    return None if score is None or score.quantity.value is None else score.quantity


def _value(column: ScoreColumn, entry: Entry) -> float:
    return column.scores[entry.key].quantity.value or 0.0


def _is_share(panel: Panel, entry: Entry) -> bool:
    assert panel.headline is not None
    per_text = panel.headline.scores[entry.key].per_text.values()
    return bool(per_text) and min(per_text) >= 0 and max(per_text) <= 1


def looks_of(panel: Panel) -> dict[str, Look]:
    """The look of each system of a panel."""
    return looks([entry.system for entry in panel.trained], {entry.system: entry.method for entry in panel.trained})


def _look(panel: Panel, entry: Entry) -> Look:
    return looks_of(panel)[entry.system]


def better(column: ScoreColumn) -> str:
    """The title of an axis of a score."""
    return printable(f"{column.title} ({column.direction} is better)")


def _levels(panel: Panel) -> list[tuple[float, str]]:
    """What stands for scale, with its score, lowest first."""
    column = panel.headline
    every = [(score.value, entry.name) for entry in panel.for_scale if (score := _score(column, entry))]
    return sorted((value, name) for value, name in every if value is not None)


def _frame(
    sheet: Sheet,
    panel: Panel,
    points: Sequence[PlacedEntry],
    title: str,
    ends: Callable[[PlacedEntry], tuple[Quantity, Quantity]],
) -> AxesFrame | None:
    """Axes that show all points and all that stands for scale, whose names are beside them."""
    column, small = panel.headline, sheet.size.small
    if column is None:
        frame = AxesFrame(sheet, logarithmic(title, ()), Axis("", 0.0, 1.0, ()), height=40.0)
        frame.write(frame.w / 2, frame.h / 2, "No score that ranks", small, QUIET, ha="center", va="center")
        return None
    levels = _levels(panel)
    reached = [ends(point) for point in points]
    x = logarithmic(title, [end for quantity, _ in reached for end in _ends(quantity)], 0.08)
    y = linear(
        better(column), [end for _, quantity in reached for end in _ends(quantity)] + [value for value, _ in levels]
    )
    most = 0.25 * sheet.width
    names = [(value, line) for value, name in levels for line in [lines_of(name, small, most)]]
    right = max((width_of(line, small) for _, lines in names for line in lines), default=-12.0) + 12.0
    heights = [len(lines) * small * LEADING for _, lines in names]
    frame = AxesFrame(sheet, x, y, right=right, height=max(72 * sheet.size.height, sum(heights)))
    for value, _ in levels:
        frame.axes.axhline(value, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    wanted = [y.share(value) * frame.h for value, _ in levels]
    for centre, height, at, (_, lines) in zip(
        apart(wanted, heights, 0.0, frame.h), heights, wanted, names, strict=True
    ):
        if abs(centre - at) > 1.0:
            frame.stroke([(frame.w + 1, at), (frame.w + 7, centre)], QUIET, 0.5)
        for number, line in enumerate(lines):
            up = centre + height / 2 - (number + 0.5) * small * LEADING
            frame.write(frame.w + 9, up, line, small, QUIET, va="center")
    return frame


def _ends(quantity: Quantity) -> list[float | None]:
    return [quantity.low, quantity.value, quantity.high]


def _draw_region(frame: AxesFrame, point: PlacedEntry, look: Look, share: bool) -> None:
    outline = region(point, share)
    if outline is not None:
        frame.axes.fill(*outline, facecolor=look.colour, alpha=0.18, linewidth=0, zorder=1.5)


def _draw_front(frame: AxesFrame, panel: Panel, track: str, entries: Sequence[Entry]) -> list[tuple[float, float]]:
    """The stairs of a front, to the ends of the axes. Returns their corners, in points."""
    assert panel.headline is not None
    worst = frame.y.high if panel.headline.direction == "lower" else frame.y.low
    places = [(entry.throughput.value or 0.0, _value(panel.headline, entry)) for entry in entries]
    stairs = [(frame.x.low, places[0][1])] if places else []
    for number, (x, y) in enumerate(places):
        after = places[number + 1][1] if number + 1 < len(places) else worst
        stairs += [(x, y), (x, after)]
    if stairs:
        xs, ys = zip(*stairs, strict=True)
        frame.axes.plot(xs, ys, color=QUIET, linewidth=1.0, linestyle=FRONTS[track], zorder=1.8, label=f"front {track}")
    return [frame.points(x, y) for x, y in stairs]


def _finish(
    frame: AxesFrame,
    panel: Panel,
    points: Sequence[PlacedEntry],
    title: str,
    sure: Mapping[str, str],
    lines: Sequence[Sequence[tuple[float, float]]],
) -> None:
    """Curves, marks, labels, the key and the title."""
    found, size = looks_of(panel), frame.size
    drawn = {point.entry.key: point for point in points}
    soft = [dots(line) for line in lines]
    soft += [dots([(0.0, up), (frame.w, up)]) for up in (frame.y.share(level) * frame.h for level, _ in _levels(panel))]
    for curve in curves_of([point.entry for point in points]):
        x, y = zip(*(drawn[entry.key].place for entry in curve.entries), strict=True)
        frame.axes.plot(x, y, color=found[curve.system].colour, linewidth=1.0, alpha=0.6, zorder=2, label="_curve")
        soft.append(dots([frame.points(*one) for one in zip(x, y, strict=True)]))
    for point in points:
        look = found[point.entry.system]
        frame.axes.plot(
            *([value] for value in point.place), marker=look.marker, color=look.colour, markersize=size.mark,
            markerfacecolor=PAPER if point.doubtful else look.colour, zorder=3, linestyle="",
            label=printable(point.entry.name),
        )  # fmt: skip
    systems = {point.entry.system: point.entry.title for point in points}
    items = [KeyItem(title, found[system].colour, found[system].marker) for system, title in systems.items()]
    if len(lines):
        items += [KeyItem(f"front, {track}", QUIET, line=FRONTS[track]) for track in front_of(panel)]
    label_points(frame, points, sure, np.concatenate(soft) if soft else np.empty((0, 2)))
    frame.key(items)
    if title:
        frame.title(title)


def label_points(frame: AxesFrame, points: Sequence[PlacedEntry], sure: Mapping[str, str], soft: np.ndarray) -> None:
    """Write beside each point what tells it from others of its system. What finds no place beside its point has a
    number there, and stands under the axes."""
    small = frame.size.small
    texts = [_told(point.entry, sure.get(point.entry.key, "")) for point in points]
    wrapped = [lines_of(text, small, 0.45 * frame.w) for text in texts]
    bounds = Box(1.0, 1.0, frame.w - 2.0, frame.h - 2.0)
    centres = [frame.points(*point.place) for point in points]
    sizes = [(max(width_of(line, small) for line in lines) + 1, len(lines) * small * 1.12) for lines in wrapped]
    mark = frame.size.mark + 1.0
    found = place(centres, sizes, bounds, mark, soft)
    while True:
        left = [number for number, spot in enumerate(found) if spot is None]
        numbers = [str(count) for count in range(1, len(left) + 1)]
        spots = place(
            [centres[number] for number in left],
            [(width_of(text, small) + 1, small * 1.1) for text in numbers],
            bounds, mark, soft, [spot.box for spot in found if spot is not None], centres, gaps=_FAR,
        )  # fmt: skip
        shut_in = next((number for number, spot in zip(left, spots, strict=True) if spot is None), None)
        if shut_in is None or len(left) == len(found):
            break
        found[_nearest(centres[shut_in], found)] = None  # the label that is in the way gives way to a number too
    for spot, lines in zip(found, wrapped, strict=True):
        if spot is not None:
            _write(frame, spot, lines)
    listed_below = []
    for text, spot, number in zip(numbers, spots, left, strict=True):
        if spot is not None:
            _write(frame, spot, [text])
        entry = points[number].entry
        listed_below.append(", ".join(part for part in (f"{text} {entry.name}", sure.get(entry.key)) if part))
    frame.beneath([line for text in listed_below for line in lines_of(text, small, frame.w)])


def _nearest(centre: tuple[float, float], found: Sequence[Placed | None]) -> int:
    """The label that is nearest to a place."""

    def off(number: int) -> float:
        spot = found[number]
        if spot is None:
            return math.inf
        box = spot.box
        across = max(box.x - centre[0], 0.0, centre[0] - box.x - box.width)
        return math.hypot(across, max(box.y - centre[1], 0.0, centre[1] - box.y - box.height))

    return min(range(len(found)), key=off)


def _write(frame: AxesFrame, spot: Placed, lines: Sequence[str]) -> None:
    small, box = frame.size.small, spot.box
    for number, line in enumerate(lines):
        up = box.y + box.height - (number + 0.5) * small * 1.12
        frame.write(box.x + 0.5, up, line, small, INK, haloed=True, va="center", zorder=4)
    if spot.leader is not None:
        frame.stroke(spot.leader, QUIET, 0.5, z=1.9)


def _told(entry: Entry, sure: str) -> str:
    return printable(", ".join(part for part in (entry.setting_title, *entry.tags, sure) if part)) or printable(
        entry.title
    )


def _left_out(panel: Panel, points: Sequence[PlacedEntry], want: str) -> str:
    shown = {point.entry.key for point in points}
    hidden = [entry.name for entry in panel.trained if entry.key not in shown]
    return f"Not shown, for want of {want}: {listed(hidden)}." if hidden else ""


def sentences(said: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(part for part in said if part))
