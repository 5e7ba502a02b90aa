"""Quality by number of latents and by their width, as SVG and PDF: the same bytes for the same records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.columns import ScoreColumn
from reports.figures import COLOURS, MARKERS, PAPER, STYLE, Picture, bars, picture_of, plain
from reports.legend import covered
from reports.panels import Entry, Panel
from reports.quantities import Quantity
from reports.study.sizes import LatentSize, Study, equal_compute, study_of
from reports.templating import printable

APART = 0.04  # doublings between lines, so that their intervals can be told apart
Along = Callable[[LatentSize], int]
Named = Callable[[LatentSize], str]


def draw(panels: Sequence[Panel]) -> Picture | None:
    """A row of axes for each panel with a study: the headline by number of latents, a line for each width, and by
    width, a line for each number. None where no panel has one."""
    studies = [(panel, study) for panel in panels if (study := study_of(panel)) and panel.headline is not None]
    if not studies:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.6 * len(studies)), layout="constrained", facecolor=PAPER)
        for row, (panel, study) in zip(figure.subfigures(len(studies), squeeze=False)[:, 0], studies, strict=True):
            assert panel.headline is not None
            entries = next(iter(study.settings.values()))
            placed = [(study.sizes[entry.key], entry) for entry in entries if _has_value(panel.headline, entry)]
            views = [view for view in _VIEWS if len({view[1](study.sizes[entry.key]) for entry in entries}) > 1]
            axes = row.subplots(1, len(views), squeeze=False, sharey=True)[0]
            for place, (title, along, tick, line) in zip(axes, views, strict=True):
                place.set_xlabel(title)
                _draw_view(place, panel.headline, placed, along, tick, line)
            axes[0].set_ylabel(printable(f"{panel.headline.title} ({panel.headline.direction} is better)"))
        return picture_of(figure, " ".join(dict.fromkeys(map(caption, *zip(*studies, strict=True)))))


def _has_value(column: ScoreColumn, entry: Entry) -> bool:
    score = column.scores.get(entry.key)
    return score is not None and score.quantity.value is not None


def caption(panel: Panel, study: Study) -> str:
    """What the picture shows, and at which cost."""
    setting, entries = next(iter(study.settings.items()))
    return (
        f"Quality of {study.method} by number and by width of latents, setting {setting}. {equal_compute(entries)} "
        f"Bars are 95 % intervals. {covered(panel)}"
    )


_VIEWS: tuple[tuple[str, Along, Named, Named], ...] = (
    ("Latents per text", lambda size: size.latents, lambda size: size.number, lambda size: f"width {size.width}"),
    ("Width of a latent", lambda size: size.width, lambda size: str(size.width), lambda size: f"{size.number} latents"),
)


def _draw_view(
    axes: Axes, column: ScoreColumn, placed: Sequence[tuple[LatentSize, Entry]], along: Along, tick: Named, line: Named
) -> None:
    """Points at `along` of their sizes, of which `tick` says the names; those of one `line` are joined."""
    plain(axes)
    axes.set_xscale("log", base=2)
    ticks = {along(size): tick(size) for size, _ in placed}
    axes.set_xticks(sorted(ticks), labels=[ticks[value] for value in sorted(ticks)])
    axes.set_xticks([], minor=True)
    lines: dict[str, list[tuple[int, Quantity]]] = {}
    for size, entry in placed:
        lines.setdefault(line(size), []).append((along(size), column.scores[entry.key].quantity))
    for number, (label, points) in enumerate(lines.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
        points.sort(key=lambda point: point[0])
        apart = 2.0 ** (APART * (number - (len(lines) - 1) / 2))
        axes.plot(
            [x * apart for x, _ in points], [quality.value or 0.0 for _, quality in points], color=colour,
            marker=marker, markersize=5.5, linewidth=1.1, zorder=3, label=printable(label),
        )  # fmt: skip
        for x, quality in points:
            axes.errorbar(x * apart, quality.value or 0.0, yerr=bars(quality), color=colour, elinewidth=1.1, zorder=2)
    if len(lines) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False, fontsize=8)
