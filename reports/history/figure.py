"""Figures of a history: a metric over the states of the code, and micro beside macro speed; the same bytes for the
same records."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tracking.history.schema import THROUGHPUT, History, Series
from reports.figures import COLOURS, MARKERS, PAPER, QUIET, STYLE, plain, svg_of
from reports.templating import printable

MOST_LINES, MOST_ROWS, MOST_COLUMNS, MOST_TICKS = 8, 4, 3, 9
_COMMIT = 7  # digits of a commit at a tick


@dataclass(frozen=True)
class HistoryFigure:
    """A figure as SVG, the same with its colours as CSS variables, and its caption."""

    svg: str
    themed: str
    caption: str


def of_metric(history: History, metric: str) -> HistoryFigure:
    """A metric of all entries: a row of axes for each task, a column for each class of machines."""
    every = [each for each in history.series if each.line.metric == metric]
    asked = _first(Counter(each.line.asked for each in every), MOST_ROWS)
    machines = _first(Counter(each.line.machine for each in every), MOST_COLUMNS)
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(max(7.2, 4.2 * len(machines)), 3.6 * len(asked)), layout="constrained", facecolor=PAPER
        )
        grid = figure.subplots(len(asked), len(machines), squeeze=False, sharex=True, sharey="row")
        drawn = 0
        for row, task in zip(grid, asked, strict=True):
            names = _names([each for each in every if each.line.asked == task and each.line.machine in machines])
            for axes, machine in zip(row, machines, strict=True):
                here = [each for each in every if (each.line.asked, each.line.machine) == (task, machine)]
                title = " · ".join(part for part in (task, machine) if part)
                drawn += _draw(axes, title, here, names, history.codes, 3 if len(machines) == 1 else 2)
            line = every[0].line
            better = f" ({line.direction} is better)" if line.direction != "none" else ""
            row[0].set_ylabel(printable(f"{line.metric_title}{f', {line.unit}' if line.unit else ''}{better}"))
            if line.kind != "quality":
                row[0].set_yscale("log")
        return HistoryFigure(*svg_of(figure), _caption(every[0].line.metric_title, drawn, len(every)))


def _caption(metric: str, drawn: int, every: int) -> str:
    left = f" {drawn} of {every} series are drawn, those with changes first." if drawn < every else ""
    return (
        f"{metric} over the states of the code, in the order of the commits; a plus marks changes that are in no "
        "commit. Points that are joined may be compared; machines stand beside each other and are not compared. A "
        "vertical line is a significant change, in the middle of the two points it lies between, and the band all "
        f"places where it may be, at 95 %. Hollow points have timings that are not valid, and "
        f"are left out of the search for changes.{left}"
    )


def of_speed(history: History) -> HistoryFigure | None:
    """Micro-benchmarks and the throughput of records on the same processors, each over its first point; None where
    there is no processor that has both."""
    micro = [each for each in history.series if each.line.kind == "micro"]
    macro = [each for each in history.series if each.line.metric == THROUGHPUT]
    shared = {each.line.device for each in micro} & {each.line.device for each in macro}
    devices = _first(Counter(each.line.device for each in (*micro, *macro) if each.line.device in shared), MOST_ROWS)
    if not devices:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.8 * len(devices)), layout="constrained", facecolor=PAPER)
        for axes, device in zip(figure.subplots(len(devices), 1, squeeze=False)[:, 0], devices, strict=True):
            _ticks(axes, history.codes)
            axes.set_ylabel("Speed, of the first point")
            axes.set_yscale("log")
            axes.axhline(1.0, color=QUIET, linewidth=0.8)
            for group, style in ((macro, "-"), (micro, "--")):
                here = [each for each in group if each.line.device == device and each.judged][: MOST_LINES // 2]
                for number, each in enumerate(here):
                    sign = 1 if each.line.direction == "higher" else -1
                    first = each.judged[0].value
                    values = [math.exp(sign * math.log(point.value / first)) for point in each.judged]
                    colour = COLOURS[(number + (0 if style == "-" else MOST_LINES // 2)) % len(COLOURS)]
                    axes.plot(
                        [point.place for point in each.judged], values, color=colour, linestyle=style, marker="o",
                        markersize=3.5, linewidth=1.1, label=printable(_short(each)),
                    )  # fmt: skip
            _legend(axes, device, 3)
        return HistoryFigure(
            *svg_of(figure),
            "Macro speed (texts per second of records, solid) and micro speed (pytest-benchmark's medians, dashed) on "
            "the same processor, each over its own first point: above 1 is faster. Threads and packages of "
            "micro-benchmarks are not known, so that only their course is to be read beside the other.",
        )


def _short(series: Series) -> str:
    return series.line.system.rpartition("/")[2] if series.line.kind == "micro" else series.line.title


def _first(counted: Counter[str], most: int) -> list[str]:
    return sorted(name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:most])


def _in_order(every: Sequence[Series]) -> list[Series]:
    """Those that changed first."""
    return sorted(every, key=lambda each: (not each.changes, -len(each.points), each.line, each.points[0].place))


def _names(every: Sequence[Series]) -> list[str]:
    """The entries of a row, whose places decide their colours and marks on all machines."""
    return list(dict.fromkeys(_short(each) for each in _in_order(every)))


def _draw(
    axes: Axes, title: str, every: Sequence[Series], names: Sequence[str], codes: Sequence[str], columns: int
) -> int:
    """Draw the series of one machine, those that changed first, under `columns` of names. Returns how many."""
    _ticks(axes, codes)
    order = _in_order(every)
    shown = _names(every)[:MOST_LINES]
    drawn = [each for each in order if _short(each) in shown]
    for each in drawn:
        number = names.index(_short(each))
        colour = COLOURS[number % len(COLOURS)]
        marker = MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
        places, values = [p.place for p in each.judged], [p.value for p in each.judged]
        first = each is next(other for other in drawn if _short(other) == names[number])
        label = printable(textwrap.shorten(names[number], 28, placeholder=" …")) if first else "_"
        axes.plot(places, values, color=colour, marker=marker, markersize=4, linewidth=1.0, label=label)
        hollow = [point for point in each.points if point.doubtful]
        axes.plot(
            [point.place for point in hollow], [point.value for point in hollow], linestyle="", marker=marker,
            markersize=4, markerfacecolor=PAPER, markeredgecolor=colour,
        )  # fmt: skip
        for change in each.changes:
            axes.axvspan(places[change.first - 1], places[change.last], color=colour, alpha=0.12, linewidth=0)
            middle = (places[change.index - 1] + places[change.index]) / 2
            axes.axvline(middle, color=colour, linewidth=1.1, linestyle=(0, (4, 2)))
    _legend(axes, title, columns)
    return len(drawn)


def _ticks(axes: Axes, codes: Sequence[str]) -> None:
    plain(axes)
    step = max(1, math.ceil(len(codes) / MOST_TICKS))
    places = list(range(0, len(codes), step))
    labels = [codes[place][:_COMMIT] + ("+" if codes[place].endswith("+") else "") for place in places]
    axes.set_xticks(places, labels=[printable(label) for label in labels], rotation=30, ha="right", fontsize=7.5)


def _legend(axes: Axes, title: str, columns: int) -> None:
    """The names of the lines, and above them what the axes are of, over the axes and no wider than they are."""
    labels = axes.get_legend_handles_labels()[1]
    wrapped = textwrap.fill(printable(title), 30 * columns)
    axes.set_title(wrapped, loc="left", fontsize=8, color=QUIET, pad=6 + 12 * math.ceil(len(labels) / columns))
    if labels:
        legend = axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, fontsize=7, borderaxespad=0.1
        )
        legend.set_in_layout(False)
