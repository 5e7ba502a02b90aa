"""The reports that lie beside published records, made of these again: of runs in `report/`, of measurements of speed
beside their records. The same records and the same code give the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import reports
from benchmarks.records.archive import FoundRun, found_runs
from benchmarks.speed.schema import FILE
from reports.provenance import PackedAt
from reports.speed import report as speed_report


def write(folder: Path, root: Path) -> list[Path]:
    """Write the reports of everything that is published below a folder.

    Args:
        root: the repository, from which commands that pages show are to be run.

    Returns:
        The folders of the reports of runs, and the pages of measurements of speed.

    Raises:
        UserError: records are damaged, or a folder cannot be written to.
    """
    written = [_of_run(run, root) for run in found_runs(folder)]
    for path in sorted(folder.rglob(FILE)):
        written += speed_report.write(path.parent).values()
    return written


def _of_run(run: FoundRun, root: Path) -> Path:
    """Write the report of a run in place of what lies there, so that nothing of older code stays."""
    place = Path(run.name)
    packed = None if run.origin is None else PackedAt(_from(root, place), run.origin.archive)
    fresh, report = place / ".report", place / "report"  # equally deep, so that links from one are links from the other
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with run.named():
            reports.write(run.folder, fresh, packed=packed)
        shutil.rmtree(report, ignore_errors=True)
        fresh.rename(report)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return report


def _from(root: Path, place: Path) -> str:
    """A path as a reader of the repository types it."""
    whole = place.resolve()
    return (whole.relative_to(root.resolve()) if whole.is_relative_to(root.resolve()) else whole).as_posix()
