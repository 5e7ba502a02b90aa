"""From records to what people read. Never imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.content import Report

__all__ = ["publish", "terminal", "write"]


def write(run_folder: Path, out: Path | None = None) -> dict[str, Path]:
    """Write the report of a run; the same records give the same bytes.

    Args:
        run_folder: the folder that `run` wrote.
        out: where the report goes; `run_folder / "report"` if None.

    Returns:
        The paths of "markdown", "latex", "html" and "figure"; of "study", a figure of a method that was run with
        latents of several numbers or widths; and of "curves", a CSV of the points of each system that ran at several
        values of one knob. Beside them lie `tables.tex` (the tables alone) and the figures as PDF.

    Raises:
        UserError: there is no run, none of its cells is done, a record is damaged, or `out` cannot be written to.
    """
    from reports.content import build  # here, since pandas takes a second that `--help` need not wait for

    folder = run_folder / "report" if out is None else out
    return _write(build(run_folder, folder), folder)


def publish(run_folder: Path) -> tuple[str, dict[str, Path]]:
    """The table of a run for this terminal, and its report, written: both of one reading of the records.

    Raises:
        UserError: as `write`.
    """
    from reports.compact import render
    from reports.content import build

    folder = run_folder / "report"
    report = build(run_folder, folder)
    written = _write(report, folder)
    return render(report.sections), written


def _write(report: Report, folder: Path) -> dict[str, Path]:
    """Write a report in every form."""
    from reports import figures, html, latex, markdown
    from reports.curves import table as curves
    from reports.study import figure
    from reports.templating import save

    picture = figures.draw(
        [section.title for section in report.sections],
        [section.panel for section in report.sections],
        [section.front for section in report.sections],
    )
    save(folder / "figure.pdf", picture.pdf)
    save(folder / "tables.tex", latex.tables(report))
    written = {"figure": save(folder / "figure.svg", picture.svg)}
    study = figure.draw([section.panel for section in report.sections])
    if study is not None:
        save(folder / "study.pdf", study.pdf)
        written["study"] = save(folder / "study.svg", study.svg)
    points = curves.figure_data([(section.title, section.panel) for section in report.sections])
    if points is not None:
        written["curves"] = save(folder / "curves.csv", points)
    said = "" if study is None else study.caption
    return {
        **written,
        "markdown": save(folder / "report.md", markdown.write(report, picture.caption, said)),
        "latex": save(folder / "report.tex", latex.write(report, picture.caption, said)),
        "html": save(folder / "report.html", html.write(report, picture, study)),
    }


def terminal(run_folder: Path, width: int | None = None) -> str:
    """The compact table of a run for a terminal of `width` columns (its own, if None).

    Raises:
        UserError: as `write`, but for writing.
    """
    from reports.compact import render
    from reports.content import build

    return render(build(run_folder, run_folder / "report").sections, width)
