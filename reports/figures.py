"""The picture of quality against speed, as SVG and PDF: the same bytes for the same records."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from reports.columns import ScoreColumn
from reports.legend import covered
from reports.numbers import percent
from reports.panels import Entry, Panel
from reports.quantities import Quantity
from reports.templating import printable

# Okabe and Ito's palette, distinct under the common colour blindnesses, and what replaces each colour on a dark page.
INK, QUIET, GRID, PAPER = "#1a1b1e", "#5d6168", "#e3e4e7", "#fefefe"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#6b6b6b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
THEME = {
    INK: "--ink",
    QUIET: "--quiet",
    GRID: "--grid",
    PAPER: "--paper",
    **{colour: f"--series-{number}" for number, colour in enumerate(COLOURS, start=1)},
}
STYLE: Any = {  # matplotlib types its keys as literals
    "svg.hashsalt": "cosmos-bench",  # element ids depend on the drawing alone
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and themed
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine lays the figure out alike
    "font.size": 9.0,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}
LEGEND = 96  # characters that a line of a legend holds, six for each mark
FLOOR_GAP = 0.045  # least distance of two floors' labels, in heights of the axes


@dataclass(frozen=True)
class Picture:
    """The figure in the forms that the writers need."""

    svg: str
    themed: str  # the same SVG with its colours as CSS variables, for inlining in a page
    pdf: bytes
    caption: str


def draw(titles: Sequence[str], panels: Sequence[Panel], fronts: Sequence[Mapping[str, float]]) -> Picture:
    """One set of axes per panel: the headline score against texts per second.

    `fronts` gives for each panel the share of draws in which an entry is on the front.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.3 * len(panels)), layout="constrained", facecolor=PAPER)
        every = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, title, panel, front in zip(every, titles, panels, fronts, strict=True):
            _draw_panel(axes, title if len(panels) > 1 else "", panel, front)
        return picture_of(figure, caption(panels, fronts))


def picture_of(figure: Figure, said: str) -> Picture:
    """A finished figure in the forms that the writers need, under the caption `said`."""
    pdf = io.BytesIO()
    text, themed = svg_of(figure)
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return Picture(text, themed, pdf.getvalue(), said)


def svg_of(figure: Figure) -> tuple[str, str]:
    """A finished figure as SVG, and with its colours as CSS variables for inlining in a page."""
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    text = "\n".join(line.rstrip() for line in svg.getvalue().splitlines()) + "\n"
    return text, _themed(text)


def caption(panels: Sequence[Panel], fronts: Sequence[Mapping[str, float]]) -> str:
    """What the picture shows, and what it leaves out."""
    parts = [
        "Quality against speed. Bars are 95 % intervals; settings of one trained system are joined; dashed lines are "
        "for scale, of what was not trained here and whose speed means nothing.",
        *(covered(panel) for panel in panels),
    ]
    if any(fronts):
        parts.append(
            "Percent beside a mark: the share of draws of texts, seeds and timed batches in which it is on the front "
            "of its track."
        )
    for panel in panels:
        hidden = [entry.name for entry in panel.trained if _point(panel.headline, entry) is None]
        if hidden:
            parts.append(f"Not shown, for want of a score or a timing: {', '.join(hidden)}.")
        if any(entry.throughput_doubts and _point(panel.headline, entry) for entry in panel.trained):
            parts.append("Hollow marks: the throughput is not valid.")
    return " ".join(dict.fromkeys(parts))


def _themed(svg: str) -> str:
    """The `<svg>` element alone, its colours replaced by the page's variables."""
    element = re.sub(r" *<metadata>.*?</metadata>\n", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for colour, variable in THEME.items():
        element = element.replace(colour, f"var({variable})")
    return element


def _point(column: ScoreColumn | None, entry: Entry) -> tuple[Quantity, Quantity] | None:
    score = column.scores.get(entry.key) if column else None
    if score is None or score.quantity.value is None or not entry.throughput.value:
        return None
    return entry.throughput, score.quantity


def _draw_panel(axes: Axes, title: str, panel: Panel, front: Mapping[str, float]) -> None:
    column = panel.headline
    plain(axes)
    axes.set_xscale("log")
    axes.set_xlabel("Texts per second (log scale)")
    if title:
        axes.set_title(printable(title), loc="left", fontsize=10)
    if column is None:
        axes.text(0.5, 0.5, "No score that ranks", transform=axes.transAxes, ha="center", color=QUIET)
        return
    axes.set_ylabel(printable(f"{column.title} ({column.direction} is better)"))
    handles: list[Line2D] = []
    placed: list[tuple[float, float, Entry]] = []
    for number, (label, trained) in enumerate(_lines(panel)):
        entries = [entry for entry in trained if _point(column, entry)]
        if entries:
            handles.append(_draw_system(axes, column, entries, number, label))
            placed += [(*_centre(column, entry), entry) for entry in entries]
    axes.margins(x=0.12, y=0.08)
    _draw_floors(axes, panel, column)
    _plain_ticks(axes)
    if handles:
        columns = max(1, min(6, LEGEND // (6 + max(len(str(handle.get_label())) for handle in handles))))
        axes.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, handlelength=1.6,
            borderaxespad=0.1, columnspacing=1.4,
        )  # fmt: skip
    _label(axes, placed, front)


def _centre(column: ScoreColumn, entry: Entry) -> tuple[float, float]:
    return entry.throughput.value or 0.0, column.scores[entry.key].quantity.value or 0.0


def _lines(panel: Panel) -> list[tuple[str, list[Entry]]]:
    """The settings of each training, under the name of its system and what tells it from others of the same system."""
    lines: dict[str, list[Entry]] = {}
    for entry in panel.trained:
        lines.setdefault(entry.cell.checkpoint_id, []).append(entry)
    systems = [entries[0].system for entries in lines.values()]
    return [(_label_of(entries, systems.count(entries[0].system) > 1), entries) for entries in lines.values()]


def _label_of(entries: Sequence[Entry], ambiguous: bool) -> str:
    shared = [tag for tag in entries[0].tags if all(tag in entry.tags for entry in entries)]
    told = ", ".join(shared) or f"training {entries[0].cell.checkpoint_id[:6]}"
    return f"{entries[0].system} ({told})" if ambiguous else entries[0].system


def plain(axes: Axes) -> None:
    """Axes as every figure here has them."""
    axes.set_facecolor(PAPER)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3)


def _draw_system(axes: Axes, column: ScoreColumn, entries: Sequence[Entry], number: int, label: str) -> Line2D:
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
    points = sorted(_centre(column, entry) for entry in entries)
    axes.plot([x for x, _ in points], [y for _, y in points], color=colour, linewidth=1.1, alpha=0.55, zorder=2)
    for entry in entries:
        x, y = _centre(column, entry)
        speed, quality = entry.throughput, column.scores[entry.key].quantity
        axes.errorbar(
            x, y, xerr=bars(speed), yerr=bars(quality), fmt=marker, color=colour, markersize=6.5, elinewidth=1.2,
            markerfacecolor=PAPER if entry.throughput_doubts else colour, markeredgecolor=colour, zorder=3,
        )  # fmt: skip
    return Line2D([], [], color=colour, marker=marker, markersize=6.5, linewidth=1.1, label=printable(label))


def bars(quantity: Quantity) -> list[list[float]] | None:
    if quantity.value is None or quantity.low is None or quantity.high is None:
        return None
    return [[max(0.0, quantity.value - quantity.low)], [max(0.0, quantity.high - quantity.value)]]


def _draw_floors(axes: Axes, panel: Panel, column: ScoreColumn) -> None:
    """A dashed line per floor, named at its right end; names that would overlap are moved apart."""
    levels = sorted(
        (value, entry.name)
        for entry in panel.for_scale
        if entry.key in column.scores and (value := column.scores[entry.key].quantity.value) is not None
    )
    for value, _ in levels:
        axes.axhline(value, color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    height = -1.0
    for value, name in levels:
        height = max((value - low) / (high - low), height + FLOOR_GAP)
        axes.text(1.012, height, printable(name), transform=axes.transAxes, va="center", fontsize=8, color=QUIET)


def _plain_ticks(axes: Axes) -> None:
    """Write 20 and 100, not powers of ten, where the axis spans little."""
    low, high = axes.get_xlim()
    if high / low < 300:
        steps = (1, 2, 3, 5, 7) if high / low < 12 else (1, 2, 5) if high / low < 60 else (1, 3)
        decades = range(-6, 9)
        ticks = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        axes.set_xticks(ticks, labels=[f"{tick:,.10g}" for tick in ticks])
        axes.set_xticks([], minor=True)


def _label(axes: Axes, placed: Sequence[tuple[float, float, Entry]], front: Mapping[str, float]) -> None:
    """Name each point's setting beside it, and how surely it is on the front, at the first of several free places."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    centres = [axes.transData.transform((x, y)) for x, y, _ in placed]
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in centres]
    for x, y, entry in placed:
        sure = percent(front[entry.key]) if entry.key in front else ""
        text = printable(", ".join(part for part in (entry.setting, *entry.tags, sure) if part))
        if not text:
            continue
        choices: list[tuple[Annotation, Bbox]] = []
        for dx, dy, across, along in (
            (7, 5, "left", "bottom"),
            (7, -5, "left", "top"),
            (-7, 5, "right", "bottom"),
            (-7, -5, "right", "top"),
            (0, 16, "center", "bottom"),
            (0, -16, "center", "top"),
        ):
            note = axes.annotate(
                text,
                (x, y),
                (dx, dy),
                textcoords="offset points",
                ha=across,
                va=along,
                fontsize=8,
                color=INK,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
            )
            box = note.get_window_extent()
            choices.append((note, box))
            if not any(box.overlaps(other) for other in taken):
                break
        placement = choices[-1] if not any(choices[-1][1].overlaps(other) for other in taken) else choices[0]
        for note, _ in choices:
            if note is not placement[0]:
                note.remove()
        taken.append(placement[1])
