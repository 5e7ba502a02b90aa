"""A history as files: one page that needs nothing else, its Markdown, and a figure for each metric."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.tracking.history.schema import History
from reports.figures import Picture
from reports.figures.sizes import COLUMN, PAGE, FigureSize
from reports.history import figure, text
from reports.html import PageFigure, render
from reports.templating import save

MOST_FIGURES = 60  # of metrics; those with changes first
SPEED = "speed-micro-and-macro"


def write(history: History, folder: Path) -> dict[str, Path]:
    """Write `history.html`, `history.md`, and `METRIC.svg` for each metric.

    Raises:
        UserError: the folder cannot be written to.
    """
    pictures, narrow = pictures_of(history), pictures_of(history, COLUMN)
    written = {
        "markdown": save(folder / "history.md", text.write(history) + "\n"),
        "html": save(folder / "history.html", html(history, pictures, narrow)),
    }
    for name, picture in pictures.items():
        save(folder / f"{file_name(name)}.svg", picture.svg)
    if pictures:
        written["figures"] = folder / "*.svg"
    return written


def pictures_of(history: History, size: FigureSize = PAGE) -> dict[str, Picture]:
    """The figures by metric, those of metrics that changed first; and micro beside macro speed before all."""
    changed = {series.line.metric for series, _ in history.changed}
    metrics = sorted({each.line.metric for each in history.series}, key=lambda name: (name not in changed, name))
    speed = figure.of_speed(history, size)
    found = {} if speed is None else {SPEED: speed}
    return found | {metric: figure.of_metric(history, metric, size) for metric in metrics[:MOST_FIGURES]}


def file_name(metric: str) -> str:
    """A metric's name as that of a file."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", metric).strip(".") or "metric"


def html(history: History, wide: dict[str, Picture], narrow: dict[str, Picture]) -> str:
    """The page of all, with its figures as wide pages and as narrow ones show them."""
    metrics = {each.line.metric for each in history.series}
    return render(
        "history.html",
        history=history,
        sentence=text.sentence(history),
        columns=text.COLUMNS,
        changes=[(text.cells(series, change), change.bisect, change.no_bisect) for series, change in history.changed],
        p_note=text.P_NOTE.format(f"{100 * history.level:g}"),
        breaks=[text.break_sentence(each) for each in history.breaks],
        figures=[
            PageFigure.of(f"figure-{place}", picture, narrow[name])
            for place, (name, picture) in enumerate(wide.items(), 1)
        ],
        more=max(0, len(metrics) - MOST_FIGURES),
    )
