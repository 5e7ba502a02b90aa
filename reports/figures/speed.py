"""How speed goes with the number of texts made at once, and how the times of single texts are spread."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.records import validity
from benchmarks.stats.order_statistics import quantile
from reports.figures.axis import Axis, at_values, logarithmic
from reports.figures.colours import PAPER
from reports.figures.lines import NamedLine, named_lines
from reports.figures.looks import LINES
from reports.figures.picture import Picture
from reports.figures.quality import looks_of, sentences
from reports.figures.sheet import LEADING, AxesFrame, Sheet, lines_of, width_of
from reports.figures.sizes import FigureSize
from reports.legend import SPEED_COVERED
from reports.numbers import listed
from reports.panels import Entry, Panel
from reports.quantities import Quantity
from reports.tables import speed_at
from reports.templating import printable

MOST_DOTS = 60  # of one entry; of more texts so many are shown, evenly among them in the order of their times


def by_batch(titles: Sequence[str], panels: Sequence[Panel], size: FigureSize) -> Picture | None:
    """Texts per second by number of texts made at once; None where only one number was timed."""
    drawn = [(title, panel, lines) for title, panel in zip(titles, panels, strict=True) if (lines := batches(panel))]
    if not drawn:
        return None
    sheet = Sheet(size)
    for title, _, lines in drawn:
        sizes = sorted({x for line in lines for x in line.x})
        y = [end for line in lines for bar in line.bars if bar for end in bar] + [v for line in lines for v in line.y]
        x = at_values("Texts made at once (log scale)", [(value, f"{value:g}") for value in sizes])
        frame = named_lines(sheet, x, logarithmic("Texts per second (log scale)", y), lines)
        if len(panels) > 1:
            frame.title(title)
    said = [
        f"Throughput by number of texts made at once, all of an entry's texts on one machine. Intervals (95 %): "
        f"{SPEED_COVERED}. One at once is one over the median latency.",
        *("Hollow marks: the timing is not valid." for _, _, lines in drawn if any(line.hollow for line in lines)),
    ]
    return Picture("batches", "Throughput by batch size", sheet.finish(), sentences(said), size.dpi)


def batches(panel: Panel) -> list[NamedLine]:
    """A line for each trained entry that several numbers of texts were timed of."""
    found, seen, looks = [], dict[str, int](), looks_of(panel)
    for entry in panel.trained if any(entry.sweep for entry in panel.trained) else ():
        sizes = sorted({1, *entry.sweep, entry.batch_size})
        timed = [(n, speed) for n in sizes if (speed := speed_at(entry, n)).value]
        if len(timed) < 2:
            continue
        before = seen.get(entry.system, 0)
        seen[entry.system] = before + 1
        found.append(
            NamedLine(
                printable(entry.short),
                [n for n, _ in timed],
                [speed.value or 0.0 for _, speed in timed],
                looks[entry.system],
                LINES[before % len(LINES)],
                [_bar(speed) for _, speed in timed],
                frozenset(place for place, (n, _) in enumerate(timed) if not entry.validity_at(n).valid),
            )
        )
    return found


def _bar(quantity: Quantity) -> tuple[float, float] | None:
    return None if quantity.low is None or quantity.high is None else (quantity.low, quantity.high)


def single_texts(titles: Sequence[str], panels: Sequence[Panel], size: FigureSize) -> Picture | None:
    """How long single texts take, a row for each entry; None where none was timed."""
    drawn = [(title, panel) for title, panel in zip(titles, panels, strict=True) if any(map(latencies, panel.trained))]
    if not drawn:
        return None
    sheet, small = Sheet(size), size.small
    for title, panel in drawn:
        entries = sorted((e for e in panel.trained if latencies(e)), key=lambda e: -quantile(latencies(e), 0.5))
        times = [latencies(entry) for entry in entries]
        names = [lines_of(printable(entry.short), small, 0.36 * sheet.width) for entry in entries]
        step = max(len(lines) for lines in names) * small * LEADING + 3.0
        y = Axis("", -0.5, len(entries) - 0.5, ())
        left = max(width_of(line, small) for lines in names for line in lines) + 4.0
        x = logarithmic("Milliseconds for one text (log scale)", [end for row in times for end in (row[0], row[-1])])
        frame = AxesFrame(
            sheet, x, y, place=(left, sheet.width - left), height=len(entries) * step + 4.0, fit=True
        )  # fmt: skip
        for row, (entry, spent, lines) in enumerate(zip(entries, times, names, strict=True)):
            _draw_row(frame, panel, entry, spent, row)
            middle = y.share(row) * frame.h
            for number, line in enumerate(lines):
                up = middle + (len(lines) / 2 - number - 0.5) * small * LEADING
                frame.write(-5.0, up, line, small, ha="right", va="center")
        if len(panels) > 1:
            frame.title(title)
    few = [entry.name for _, panel in drawn for entry in panel.trained if 0 < len(latencies(entry)) < 5]
    said = [
        "How long single texts took, one call after another: a dot is a text, the bar holds the middle half of them, "
        "the upright line is the median.",
        f"Of more than {MOST_DOTS} texts {MOST_DOTS} are shown, evenly in the order of their times."
        if any(len(latencies(entry)) > MOST_DOTS for _, panel in drawn for entry in panel.trained) else "",
        "Hollow dots: the timing is not valid." if any(e.latency_doubts for _, p in drawn for e in p.trained) else "",
        f"Fewer than five texts were timed of {listed(few)}." if few else "",
    ]  # fmt: skip
    return Picture("latency", "Times of single texts", sheet.finish(), sentences(said), size.dpi)


def latencies(entry: Entry) -> list[float]:
    """Milliseconds that each single text took, in ascending order; those of calls that stalled left out."""
    return sorted(
        1e3 * timing.seconds for record in entry.records for timing in validity.calls_of(record, validity.LATENCY)
    )


def _draw_row(frame: AxesFrame, panel: Panel, entry: Entry, spent: Sequence[float], row: int) -> None:
    look, doubtful = looks_of(panel)[entry.system], bool(entry.latency_doubts)
    quarter, median, last = (quantile(spent, share) for share in (0.25, 0.5, 0.75))
    shown = spent
    if len(spent) > MOST_DOTS:
        shown = [quantile(spent, number / (MOST_DOTS - 1)) for number in range(MOST_DOTS)]
    frame.draw(([quarter, last], [row, row]), colors=look.colour, linewidths=5.0, alpha=0.3, zorder=2)
    frame.draw(([median, median], [row - 0.36, row + 0.36]), colors=look.colour, linewidths=1.6, zorder=4)
    frame.axes.plot(
        shown, [row] * len(shown), linestyle="", marker=look.marker, color=look.colour, zorder=3,
        markersize=0.6 * frame.size.mark, markerfacecolor=PAPER if doubtful else look.colour, markeredgewidth=0.6,
        label=printable(entry.short),
    )  # fmt: skip
