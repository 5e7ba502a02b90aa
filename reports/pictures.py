"""All figures of a report, and their files."""

from __future__ import annotations

from pathlib import Path

from reports.content import Report
from reports.figures import Picture, quality, speed, training
from reports.figures.sizes import PAGE, FigureSize
from reports.study import figure as study
from reports.templating import save

IN_ARTICLE = ("figure", "study")  # what report.tex places


def of_report(report: Report, size: FigureSize = PAGE) -> dict[str, Picture]:
    """The figures that the records have something for, by name, in the order in which they are shown; `figure`, quality
    against speed, is always there."""
    titles = [section.title for section in report.sections]
    panels = [section.panel for section in report.sections]
    found = (
        quality.against_speed(titles, panels, [section.front for section in report.sections], size),
        study.draw(panels, size),
        quality.against_calls(titles, panels, size),
        speed.by_batch(titles, panels, size),
        speed.single_texts(titles, panels, size),
        training.losses(titles, panels, size),
    )
    return {picture.name: picture for picture in found if picture is not None}


def write(pictures: dict[str, Picture], folder: Path, whole: bool) -> dict[str, Path]:
    """Write each figure as SVG, and those that `report.tex` places as PDF; if `whole`, each as SVG, PDF and PNG.

    Returns:
        The paths of the SVGs by name.

    Raises:
        UserError: the folder cannot be written to.
    """
    written = {}
    for name, picture in pictures.items():
        written[name] = save(folder / f"{name}.svg", picture.svg)
        if whole or name in IN_ARTICLE:
            save(folder / f"{name}.pdf", picture.pdf)
        if whole:
            save(folder / f"{name}.png", picture.png)
    return written
