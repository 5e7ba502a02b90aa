"""From records to what people read. Never imports torch."""

from __future__ import annotations

from pathlib import Path

__all__ = ["terminal", "write"]


def write(run_folder: Path, out: Path | None = None) -> dict[str, Path]:
    """Write the report of a run; the same records give the same bytes.

    Args:
        run_folder: the folder that `run` wrote.
        out: where the report goes; `run_folder / "report"` if None.

    Returns:
        The paths of "markdown", "latex", "html" and "figure". Beside them lie `tables.tex` (the tables alone) and
        `figure.pdf`.

    Raises:
        UserError: there is no run, none of its cells is done, a record is damaged, or `out` cannot be written to.
    """
    # Here, since pandas and matplotlib take a second that `--help` need not wait for.
    from reports import figures, html, latex, markdown
    from reports.content import build
    from reports.templating import save

    folder = run_folder / "report" if out is None else out
    report = build(run_folder, folder)
    picture = figures.draw(
        [section.title for section in report.sections],
        [section.panel for section in report.sections],
        [section.front for section in report.sections],
    )
    save(folder / "figure.pdf", picture.pdf)
    save(folder / "tables.tex", latex.tables(report))
    return {
        "figure": save(folder / "figure.svg", picture.svg),
        "markdown": save(folder / "report.md", markdown.write(report, picture.caption)),
        "latex": save(folder / "report.tex", latex.write(report, picture.caption)),
        "html": save(folder / "report.html", html.write(report, picture)),
    }


def terminal(run_folder: Path, width: int | None = None) -> str:
    """The compact table of a run for a terminal of `width` columns (its own, if None).

    Raises:
        UserError: as `write`, but for writing.
    """
    from reports.compact import render
    from reports.content import build

    return render(build(run_folder, run_folder / "report").sections, width)
