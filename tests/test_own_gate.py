"""This project gates itself: a small run, made by the code at work, against the baseline kept in the repository.

Quality and network calls, not speed, since the machines that run the tests differ (`tests/baseline/plan.toml`).
`benchmarks/tracking/gate/test_drill.py` shows what such a gate is failed by.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "tests" / "baseline"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def gate(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks gate` by the project's own plan, on two sides."""
    variables = {**os.environ, "COSMOS_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks", "gate", "--config", str(BASELINE / "plan.toml"), *words]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)


def test_the_code_at_work_is_not_worse_than_the_baseline(cache: Path, tmp_path: Path) -> None:
    archive = str(BASELINE / "records.tar.xz")
    done = gate(cache, "--against", archive, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("gate: pass (") and last.endswith(f"{tmp_path / 'run'} against {archive}")
    assert "pass: cosmos dpmpp_2m-20: rouge_l, calls" in done.stdout
    assert "pass: mdlm confidence-24: rouge_l, calls" in done.stdout


def test_the_baseline_is_small() -> None:
    assert (BASELINE / "records.tar.xz").stat().st_size < 60_000
