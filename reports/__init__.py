"""From records to what people read. Never imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.content import Report
    from reports.latex.layouts import Layout
    from reports.paper.choice import TableChoice
    from reports.provenance import PackedAt

__all__ = ["check_form", "publish", "terminal", "write", "write_table"]


def check_form(layout: str, label_prefix: str | None, size: str | None) -> None:
    """Say what is wrong with these arguments of `write`, before any record is read.

    Raises:
        UserError: there is no such layout or size, or labels cannot begin so.
    """
    from reports.figures.sizes import size_named
    from reports.latex.layouts import checked_prefix, layout_named

    layout_named(layout)
    checked_prefix(label_prefix)
    if size is not None:
        size_named(size)


def write(
    run_folder: Path,
    out: Path | None = None,
    *,
    layout: str = "paper",
    label_prefix: str | None = None,
    size: str | None = None,
    packed: PackedAt | None = None,
) -> dict[str, Path]:
    """Write the report of a run; the same records give the same bytes.

    Args:
        run_folder: the folder that `run` wrote.
        out: where the report goes; `run_folder / "report"` if None.
        layout: of the tables for papers, a name of `reports.latex.LAYOUTS`.
        label_prefix: what their labels begin with; if None something that no other report has.
        size: of the figures: column, page or slide, each then as SVG, PDF and PNG; if None that of a page, as SVG, and
            as PDF what `report.tex` places. The HTML page holds each as wide as a page and as a column, and shows what
            is for its width.
        packed: where readers find the records, if not in `run_folder`.

    Returns:
        The paths of "markdown", "latex", "html" and "figure"; of the other figures that the records have something for,
        by name (`reports.pictures`); of "curves", a CSV of the points of each system that ran at several values of one
        knob; and of "tables", a folder with a CSV of each table. Beside them lie `tables.tex` (the tables alone, for
        papers) and figures in other forms.

    Raises:
        UserError: there is no run, none of its cells is done, a record is damaged, there is no such layout, or `out`
            cannot be written to.
    """
    from reports.content import build  # here, since pandas takes a second that `--help` need not wait for
    from reports.latex.layouts import checked_prefix, layout_named

    chosen, prefix = layout_named(layout), checked_prefix(label_prefix)
    folder = run_folder / "report" if out is None else out
    return _write(build(run_folder, folder, packed), folder, chosen, prefix, size)


def write_table(
    run_folder: Path,
    choice: TableChoice,
    out: Path | None = None,
    *,
    layout: str = "paper",
    label_prefix: str | None = None,
) -> dict[str, Path]:
    """Write a table of chosen columns and rows, as LaTeX and as CSV; arguments as of `write`.

    Returns:
        The paths of "latex" and "csv", which are called as the label is; where the report has several sections, each
        has a CSV of its own, "csv-1", "csv-2" and so on, since each has columns of its own.

    Raises:
        UserError: as `write`, or a column, a row or a table is not there.
    """
    from reports import csv_files, latex
    from reports.content import build
    from reports.latex.layouts import checked_prefix
    from reports.paper.choice import chosen
    from reports.templating import save

    fitting, prefix = latex.layout_named(layout), checked_prefix(label_prefix)
    folder = run_folder / "report" if out is None else out
    report = build(run_folder, folder)
    tables = chosen(report, choice)
    prefix = report.label if prefix is None else prefix
    name = f"{prefix}-{choice.name}".replace(":", "-")
    written = {"latex": save(folder / f"{name}.tex", latex.tables(tables, fitting, prefix))}
    for table in tables:
        suffix = table.name.removeprefix(choice.name)
        written[f"csv{suffix}"] = save(folder / f"{name}{suffix}.csv", csv_files.table(table))
    return written


def publish(
    run_folder: Path, *, layout: str = "paper", label_prefix: str | None = None, size: str | None = None
) -> tuple[str, dict[str, Path]]:
    """The table of a run for this terminal, and its report, written: both of one reading of the records.

    Raises:
        UserError: as `write`.
    """
    from reports.compact import render
    from reports.content import build
    from reports.latex.layouts import checked_prefix, layout_named

    chosen, prefix = layout_named(layout), checked_prefix(label_prefix)
    folder = run_folder / "report"
    report = build(run_folder, folder)
    written = _write(report, folder, chosen, prefix, size)
    return render(report.sections), written


def _write(report: Report, folder: Path, layout: Layout, prefix: str | None, size: str | None) -> dict[str, Path]:
    """Write a report in every form."""
    from reports import csv_files, html, latex, markdown, pictures
    from reports.curves import table as curves
    from reports.figures.sizes import COLUMN, PAGE, size_named
    from reports.templating import save

    shown = pictures.of_report(report)
    narrow = pictures.of_report(report, COLUMN)
    chosen = PAGE if size is None else size_named(size)
    drawn = {PAGE.name: shown, COLUMN.name: narrow}
    placed = drawn.get(chosen.name) or pictures.of_report(report, chosen)
    written = pictures.write(placed, folder, size is not None)
    save(folder / "tables.tex", latex.tables(report.tables, layout, report.label if prefix is None else prefix))
    for name, text in csv_files.named(report.tables).items():
        save(folder / "tables" / name, text)
    points = curves.figure_data([(section.title, section.panel) for section in report.sections])
    if points is not None:
        written["curves"] = save(folder / "curves.csv", points)
    captions = {name: picture.caption for name, picture in shown.items()}
    return {
        **written,
        "markdown": save(folder / "report.md", markdown.write(report, shown)),
        "latex": save(folder / "report.tex", latex.write(report, captions["figure"], captions.get("study", ""))),
        "html": save(folder / "report.html", html.write(report, shown, narrow)),
        "tables": folder / "tables",
    }


def terminal(run_folder: Path, width: int | None = None) -> str:
    """The compact table of a run for a terminal of `width` columns (its own, if None).

    Raises:
        UserError: as `write`, but for writing.
    """
    from reports.compact import render
    from reports.content import build

    return render(build(run_folder, run_folder / "report").sections, width)
