"""One page of every kind, as the project writes it, for those who look at its structure and those who look at it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import reports
from reports.comparison import report as comparison
from reports.history import page as history
from reports.speed import report as speed
from tests.reports.comparison import test_comparison_report
from tests.reports.conftest import FakeRun
from tests.reports.history import test_history_page

SPEED = Path(__file__).parents[2] / "reports/published/2026-11-28-h200/speed-base/speed.jsonl"


def write_every_page(folder: Path, report: Path) -> dict[str, Path]:
    """The report that is there, one of two panels with two seeds, a comparison, a history and a speed report."""
    pages = {"report": report}
    two = FakeRun(texts=30)
    for seed in (0, 1):
        two.add("cosmos", "fast", seed)
        two.add("gpt2", "greedy", seed)
    two.add("copy", "default")
    two.cells += [(replace(header, cell=replace(header.cell, limit=20)), *rest) for header, *rest in two.cells]
    pages["panels"] = reports.write(two.write(folder / "two"))["html"]
    pages["comparison"] = comparison.write(test_comparison_report.comparison(), folder / "comparison")["html"]
    pages["history"] = history.write(test_history_page.history(), folder / "history")["html"]
    (folder / "speed").mkdir()
    shutil.copy(SPEED, folder / "speed")
    pages["speed"] = speed.write(folder / "speed")["html"]
    return pages
