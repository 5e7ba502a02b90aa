"""From records to what people read. Never imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.content import Report

__all__ = ["publish", "terminal", "write"]


def write(run_folder: Path, out: Path | None = None, *, size: str | None = None) -> dict[str, Path]:
    """Write the report of a run; the same records give the same bytes.

    Args:
        run_folder: the folder that `run` wrote.
        out: where the report goes; `run_folder / "report"` if None.
        size: of the figures: column, page or slide, each then as SVG, PDF and PNG; if None that of a page, as SVG, and
            as PDF what `report.tex` places. Those within the page of all are always as wide as a page.

    Returns:
        The paths of "markdown", "latex", "html" and "figure"; of the other figures that the records have something for,
        by name (`reports.pictures`); and of "curves", a CSV of the points of each system that ran at several values of
        one knob. Beside them lie `tables.tex` (the tables alone) and figures in other forms.

    Raises:
        UserError: there is no run, none of its cells is done, a record is damaged, or `out` cannot be written to.
    """
    from reports.content import build  # here, since pandas takes a second that `--help` need not wait for

    folder = run_folder / "report" if out is None else out
    return _write(build(run_folder, folder), folder, size)


def publish(run_folder: Path, *, size: str | None = None) -> tuple[str, dict[str, Path]]:
    """The table of a run for this terminal, and its report, written: both of one reading of the records.

    Raises:
        UserError: as `write`.
    """
    from reports.compact import render
    from reports.content import build

    folder = run_folder / "report"
    report = build(run_folder, folder)
    written = _write(report, folder, size)
    return render(report.sections), written


def _write(report: Report, folder: Path, size: str | None) -> dict[str, Path]:
    """Write a report in every form."""
    from reports import html, latex, markdown, pictures
    from reports.curves import table as curves
    from reports.figures.sizes import PAGE
    from reports.templating import save

    shown = pictures.of_report(report)
    chosen = PAGE if size is None else pictures.size_named(size)
    placed = shown if chosen is PAGE else pictures.of_report(report, chosen)
    written = pictures.write(placed, folder, size is not None)
    save(folder / "tables.tex", latex.tables(report))
    points = curves.figure_data([(section.title, section.panel) for section in report.sections])
    if points is not None:
        written["curves"] = save(folder / "curves.csv", points)
    captions = {name: picture.caption for name, picture in shown.items()}
    more = [picture for name, picture in shown.items() if name not in ("figure", "study")]
    return {
        **written,
        "markdown": save(folder / "report.md", markdown.write(report, shown)),
        "latex": save(folder / "report.tex", latex.write(report, captions["figure"], captions.get("study", ""))),
        "html": save(folder / "report.html", html.write(report, shown["figure"], shown.get("study"), more)),
    }


def terminal(run_folder: Path, width: int | None = None) -> str:
    """The compact table of a run for a terminal of `width` columns (its own, if None).

    Raises:
        UserError: as `write`, but for writing.
    """
    from reports.compact import render
    from reports.content import build

    return render(build(run_folder, run_folder / "report").sections, width)
