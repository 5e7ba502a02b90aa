"""Benchmarks are compared by what they take in units of `calibration`: a slower machine passes, slower code does not.

What is scaled here is scaled by factors of a hundred, so that no load of the machine decides.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ONE = "def test_one(benchmark):\n    assert benchmark(lambda: sum(range(1000))) == 499500\n"
SPREAD = 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As much of this folder as benchmarks need, with one of them."""
    speed = tmp_path / "project" / "tests" / "speed"
    speed.mkdir(parents=True)
    for name in ("conftest.py", "calibration.py"):
        shutil.copy(HERE / name, speed)
    (speed / "test_one.py").write_text(ONE)
    return speed


def measured(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder), "--benchmark-only", *words]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST")}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder.parents[1], env=environment)


def changed(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Change the only baseline: the figures of its benchmark, and what else is said of it."""
    [path] = (folder / "baselines").rglob("*.json")
    stored = json.loads(path.read_text())
    for one in stored["benchmarks"]:
        change(one["stats"], one["extra_info"])
    path.write_text(json.dumps(stored))


def scaled(stats: dict[str, Any], factor: float) -> None:
    stats.update({name: factor * value for name, value in stats.items() if isinstance(value, float)})


@pytest.mark.slow
def test_a_slower_machine_passes_and_slower_code_does_not(folder: Path) -> None:
    first = measured(folder)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "nothing was compared" in first.stdout
    assert measured(folder, "--benchmark-save=micro").returncode == 0

    def other_machine(stats: dict[str, Any], info: dict[str, Any]) -> None:
        scaled(stats, 1 / SPREAD)
        info["unit_seconds"] /= SPREAD

    changed(folder, other_machine)
    again = measured(folder, "--benchmark-compare", f"--benchmark-compare-fail=min:{10 * SPREAD}%")
    assert again.returncode == 0, again.stdout + again.stderr
    changed(folder, lambda stats, info: scaled(stats, 1 / SPREAD))
    slower = measured(folder)
    assert slower.returncode != 0
    assert "Performance has regressed" in slower.stdout + slower.stderr

    written = sorted((folder.parents[1] / "runs" / "micro").glob("*.json"))
    assert written
    [one] = json.loads(written[-1].read_text())["benchmarks"]
    assert one["extra_info"]["units"] == pytest.approx(one["stats"]["min"] / one["extra_info"]["unit_seconds"])


@pytest.mark.slow
def test_baselines_name_no_machine_and_cover_every_benchmark() -> None:
    """What is kept says which kind of machine it was, and has the benchmarks there are."""
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/speed/micro", "-n", "0", "--collect-only"],
        capture_output=True, text=True, check=True, cwd=HERE.parents[1],
    )  # fmt: skip
    names = {line for line in listed.stdout.splitlines() if "::" in line}
    kept = list((HERE / "baselines").rglob("*.json"))
    assert names and kept
    for path in kept:
        stored = json.loads(path.read_text())
        assert set(stored["machine_info"]) == {
            "system", "machine", "python_implementation", "python_version", "cpu", "machine_class"
        }  # fmt: skip
        assert path.parent.name == stored["machine_info"]["machine_class"]
        assert {one["fullname"] for one in stored["benchmarks"]} == names
