"""Figures of a history: a metric over the states of the code, and micro beside macro speed; the same bytes for the
same records."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.tracking.history.schema import THROUGHPUT, History, Series
from reports.figures.axis import Axis, linear, logarithmic
from reports.figures.colours import QUIET
from reports.figures.lines import NamedLine, draw
from reports.figures.looks import LINES, LineStyle, Look, looks
from reports.figures.picture import Picture
from reports.figures.sheet import AxesFrame, KeyItem, Sheet
from reports.figures.sizes import PAGE, FigureSize
from reports.templating import printable

MOST_LINES, MOST_TASKS, MOST_MACHINES, MOST_ACROSS, MOST_TICKS = 8, 4, 3, 2, 9
_COMMIT = 7  # digits of a commit at a tick


def of_metric(history: History, metric: str, size: FigureSize = PAGE) -> Picture:
    """A metric of all entries: axes for each task and class of machines, as many beside each other as the size has room
    for."""
    every = [each for each in history.series if each.line.metric == metric]
    asked = _first(Counter(each.line.asked for each in every), MOST_TASKS)
    machines = _first(Counter(each.line.machine for each in every), MOST_MACHINES)
    styles = _styles(every)
    sheet = Sheet(replace(size, height=2 / 3 * size.height))
    across = min(len(machines), 1 if size.name == "column" else MOST_ACROSS)
    places = sheet.columns(across)
    line = every[0].line
    better = f" ({line.direction} is better)" if line.direction != "none" else ""
    title = f"{line.metric_title}{f', {line.unit}' if line.unit else ''}{better}"
    drawn = 0
    for task in asked:
        here = [each for each in every if each.line.asked == task and each.line.machine in machines]
        names = _names(here)[:MOST_LINES]
        shown = [each for each in here if _short(each) in names]
        y = (linear if line.kind == "quality" else logarithmic)(
            printable(title), [point.value for each in shown for point in each.points]
        )
        for number, machine in enumerate(machines):
            place = number % across
            told = across == 1 or (task == asked[-1] and number + across >= len(machines))  # none stands beneath
            x = _codes(history.codes, told)
            mine = [each for each in shown if each.line.machine == machine]
            frame = AxesFrame(
                sheet, x, replace(y, title="") if place else y, place=places[place], beside=place > 0, slanted=told,
            )  # fmt: skip
            for each in _in_order(mine):
                _draw(frame, each, *styles[_short(each)])
            drawn += len(mine)
            frame.title(" · ".join(part for part in (task, machine) if part))
            if number == 0:
                looks_ = [(name, *styles[name]) for name in names]
                items = [KeyItem(printable(name), look.colour, look.marker, style) for name, look, style in looks_]
                frame.key(items, beyond=sheet.width - frame.left - frame.w)
    said = _caption(line.metric_title, drawn, len(every))
    return Picture(re.sub(r"[^A-Za-z0-9]", "-", metric), line.metric_title, sheet.finish(), said)


def _caption(metric: str, drawn: int, every: int) -> str:
    left = f" {drawn} of {every} series are drawn, those with changes first." if drawn < every else ""
    return (
        f"{metric} over the states of the code, in the order of the commits; a plus marks changes that are in no "
        "commit. Points that are joined may be compared; machines have axes of their own and are not compared. A "
        "vertical line is a significant change, in the middle of the two points it lies between, and the band all "
        f"places where it may be, at 95 %. Hollow points have timings that are not valid, and "
        f"are left out of the search for changes.{left}"
    )


def of_speed(history: History, size: FigureSize = PAGE) -> Picture | None:
    """Micro-benchmarks and the throughput of records on the same processors, each over its first point; None where
    there is no processor that has both."""
    micro = [each for each in history.series if each.line.kind == "micro"]
    macro = [each for each in history.series if each.line.metric == THROUGHPUT]
    shared = {each.line.device for each in micro} & {each.line.device for each in macro}
    devices = _first(Counter(each.line.device for each in (*micro, *macro) if each.line.device in shared), MOST_TASKS)
    if not devices:
        return None
    sheet = Sheet(replace(size, height=0.8 * size.height))
    for device in devices:
        shown = [
            each
            for group in (macro, micro)
            for each in [one for one in group if one.line.device == device and one.judged][: MOST_LINES // 2]
        ]
        found = looks([each.line.system for each in shown])
        lines = [_of_first(each, found[each.line.system]) for each in shown]
        y = logarithmic("Speed, of the first point", [1.0, *(value for line in lines for value in line.y)])
        frame = AxesFrame(sheet, _codes(history.codes, device == devices[-1]), y, slanted=device == devices[-1])
        frame.axes.axhline(1.0, color=QUIET, linewidth=0.8)
        for line in lines:
            draw(frame, line)
        frame.key([KeyItem(line.label, line.look.colour, line.look.marker, line.style) for line in lines])
        frame.title(device)
    return Picture(
        "speed-micro-and-macro",
        "Micro and macro speed",
        sheet.finish(),
        "Macro speed (texts per second of records, solid) and micro speed (pytest-benchmark's medians, dashed) on "
        "the same processor, each over its own first point: above 1 is faster. Threads and packages of "
        "micro-benchmarks are not known, so that only their course is to be read beside the other.",
    )


def _of_first(each: Series, look: Look) -> NamedLine:
    sign = 1 if each.line.direction == "higher" else -1
    first = each.judged[0].value
    values = [math.exp(sign * math.log(point.value / first)) for point in each.judged]
    style = LINES[1] if each.line.kind == "micro" else LINES[0]
    return NamedLine(printable(_short(each)), [point.place for point in each.judged], values, look, style)


def _short(series: Series) -> str:
    return series.line.system.rpartition("/")[2] if series.line.kind == "micro" else series.line.title


def _first(counted: Counter[str], most: int) -> list[str]:
    return sorted(name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:most])


def _in_order(every: Sequence[Series]) -> list[Series]:
    """Those that changed first."""
    return sorted(every, key=lambda each: (not each.changes, -len(each.points), each.line, each.points[0].place))


def _names(every: Sequence[Series]) -> list[str]:
    """The entries of a row, those that changed first."""
    return list(dict.fromkeys(_short(each) for each in _in_order(every)))


def _styles(every: Sequence[Series]) -> dict[str, tuple[Look, LineStyle]]:
    """The look of each entry's system, and a line for each of its settings, the same on all machines and for all
    tasks."""
    names = {_short(each): each.line.system for each in every}
    found, seen = looks(list(names.values())), Counter[str]()
    styles = {}
    for name in sorted(names):
        system = names[name]
        styles[name] = (found[system], LINES[seen[system] % len(LINES)])
        seen[system] += 1
    return styles


def _codes(codes: Sequence[str], told: bool) -> Axis:
    """The states of the code in their order, some of them named, if they are `told`."""
    step = max(1, math.ceil(len(codes) / MOST_TICKS))
    ticks = [
        (place, codes[place][:_COMMIT] + ("+" if codes[place].endswith("+") else "") if told else "")
        for place in range(0, len(codes), step)
    ]
    room = 0.5 + 0.02 * len(codes)
    return Axis("", -room, len(codes) - 1 + room, tuple(ticks))


def _draw(frame: AxesFrame, each: Series, look: Look, style: LineStyle) -> None:
    """A series: judged points joined, the others hollow, and its changes."""
    axes, judged = frame.axes, each.judged
    hollow = [point for point in each.points if point.doubtful]
    x, y = [point.place for point in judged], [point.value for point in judged]
    if judged:
        draw(frame, NamedLine(printable(_short(each)), x, y, look, style))
    if hollow:
        points = NamedLine(
            "", [p.place for p in hollow], [p.value for p in hollow], look, "", (), frozenset(range(len(hollow)))
        )
        draw(frame, points)
    for change in each.changes:
        axes.axvspan(x[change.first - 1], x[change.last], color=look.colour, alpha=0.12, linewidth=0)
        middle = (x[change.index - 1] + x[change.index]) / 2
        axes.axvline(middle, color=look.colour, linewidth=1.1, linestyle=(0, (4, 2)))
