"""One page of every kind, as the project writes it, for those who look at its structure and those who look at it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import reports
from reports.comparison import report as comparison
from reports.history import page as history
from reports.speed import report as speed

HERE = Path(__file__).parent
SPEED = HERE.parents[1] / "reports/published/2026-11-28-h200/speed-base/speed.jsonl"


def beside(name: str) -> ModuleType:
    """A module of the tests of reports, for what it makes up."""
    own = f"made_up_by_{Path(name).stem}"
    if own not in sys.modules:
        spec = importlib.util.spec_from_file_location(own, HERE / name)
        assert spec is not None and spec.loader is not None
        sys.modules[own] = importlib.util.module_from_spec(spec)  # where dataclasses look for their types
        spec.loader.exec_module(sys.modules[own])
    return sys.modules[own]


def fake_run(**changes: Any) -> Any:
    """An empty run of `conftest.FakeRun`."""
    return beside("conftest.py").FakeRun(**changes)


def write_every_page(folder: Path, report: Path) -> dict[str, Path]:
    """The report that is there, a report of two panels with two seeds, a comparison, a history and a measurement of speed."""
    pages = {"report": report}
    two = fake_run(texts=30)
    for seed in (0, 1):
        two.add("cosmos", "fast", seed)
        two.add("gpt2", "greedy", seed)
    two.add("copy", "default")
    two.cells += [(replace(header, cell=replace(header.cell, limit=20)), *rest) for header, *rest in two.cells]
    pages["panels"] = reports.write(two.write(folder / "two"))["html"]
    made_up = beside("comparison/test_comparison_report.py")
    pages["comparison"] = comparison.write(made_up.comparison(), folder / "comparison")["html"]
    pages["history"] = history.write(beside("history/test_history_page.py").history(), folder / "history")["html"]
    (folder / "speed").mkdir()
    shutil.copy(SPEED, folder / "speed")
    pages["speed"] = speed.write(folder / "speed")["html"]
    return pages
