"""Quality by number of latents and by their width: the same bytes for the same records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reports.columns import ScoreColumn
from reports.figures.axis import at_values, linear
from reports.figures.lines import NamedLine, named_lines
from reports.figures.looks import LINES, MORE, Look, looks
from reports.figures.picture import Picture
from reports.figures.quality import better, sentences
from reports.figures.sheet import Sheet
from reports.figures.sizes import PAGE, FigureSize
from reports.legend import covered
from reports.panels import Entry, Panel
from reports.study.sizes import LatentSize, Study, equal_compute, study_of
from reports.templating import printable

APART = 0.04  # doublings between lines, so that their intervals can be told apart
Along = Callable[[LatentSize], int]
Named = Callable[[LatentSize], str]


def draw(panels: Sequence[Panel], size: FigureSize = PAGE) -> Picture | None:
    """A row of axes for each panel with a study: the headline by number of latents, a line for each width, and by
    width, a line for each number. None where no panel has one."""
    studies = [(panel, study) for panel in panels if (study := study_of(panel)) and panel.headline is not None]
    if not studies:
        return None
    sheet = Sheet(size)
    for panel, study in studies:
        assert panel.headline is not None
        entries = next(iter(study.settings.values()))
        placed = [(study.sizes[entry.key], entry) for entry in entries if _has_value(panel.headline, entry)]
        views = [view for view in _VIEWS if len({view[1](study.sizes[entry.key]) for entry in entries}) > 1]
        ends = [end for _, entry in placed for end in _ends(panel.headline, entry)]
        stacked = size.name == "column"  # where two beside each other would be too narrow
        places = sheet.columns(1 if stacked else len(views))
        for number, (title, along, tick, line) in enumerate(views):
            x = at_values(title, [(along(one), tick(one)) for one, _ in placed], 0.08)
            y = linear(better(panel.headline) if stacked or number == 0 else "", ends)
            lines = _lines(study.method, panel.headline, placed, along, line)
            if len(lines) == 1:
                lines = [_unnamed(lines[0])]
            place = places[0 if stacked else number]
            named_lines(sheet, x, y, lines, place=place, beside=number > 0 and not stacked)
    said = [caption(panel, study) for panel, study in studies]
    return Picture("study", "Quality by number and width of latents", sheet.finish(), sentences(said), size.dpi)


def _has_value(column: ScoreColumn, entry: Entry) -> bool:
    score = column.scores.get(entry.key)
    return score is not None and score.quantity.value is not None


def _ends(column: ScoreColumn, entry: Entry) -> tuple[float | None, ...]:
    quantity = column.scores[entry.key].quantity
    return quantity.low, quantity.value, quantity.high


def caption(panel: Panel, study: Study) -> str:
    """What the picture shows, and at which cost."""
    _, entries = next(iter(study.settings.items()))
    setting = f", {entries[0].setting_title}" if entries[0].setting_title else ""
    return (
        f"Quality of {entries[0].title.partition(', ')[0]} by number and by width of latents{setting}. "
        f"{equal_compute(entries)} Bars are 95 % intervals. {covered(panel)}"
    )


_VIEWS: tuple[tuple[str, Along, Named, Named], ...] = (
    ("Latents per text", lambda size: size.latents, lambda size: size.number, lambda size: f"width {size.width}"),
    ("Width of a latent", lambda size: size.width, lambda size: str(size.width), lambda size: f"{size.number} latents"),
)


def _lines(
    method: str, column: ScoreColumn, placed: Sequence[tuple[LatentSize, Entry]], along: Along, named: Named
) -> list[NamedLine]:
    """Points at `along` of their sizes, joined where `named` says the same: all of one colour, for all are of one
    method, each line with a mark and a style of its own."""
    groups: dict[str, list[tuple[int, Entry]]] = {}
    for size, entry in placed:
        groups.setdefault(named(size), []).append((along(size), entry))
    own = looks([method])[method]
    marks = (own.marker, *MORE)
    found = []
    for number, (label, points) in enumerate(groups.items()):
        points.sort(key=lambda point: point[0])
        apart = 2.0 ** (APART * (number - (len(groups) - 1) / 2))
        limits = [_ends(column, entry) for _, entry in points]
        found.append(
            NamedLine(
                printable(label),
                [x * apart for x, _ in points],
                [value or 0.0 for _, value, _ in limits],
                Look(own.number, marks[number % len(marks)]),
                LINES[number % len(LINES)],
                [None if low is None or high is None else (low, high) for low, _, high in limits],
            )
        )
    return found


def _unnamed(line: NamedLine) -> NamedLine:
    """A line that is alone, and needs no name."""
    return NamedLine("", line.x, line.y, line.look, line.style, line.bars)
