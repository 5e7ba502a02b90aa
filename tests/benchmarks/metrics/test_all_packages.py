"""The example that scores a run by mauve-text, Detoxify and evaluate, times it and reads it with pandas, as it stands.

Weights of Detoxify and of the language model are tiny random ones in the form of the real ones, which go through the
very code that takes those.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "all_packages"
NEEDED = ("mauve", "detoxify", "evaluate", "duckdb")


@pytest.mark.slow
@pytest.mark.skipif(not all(map(importlib.util.find_spec, NEEDED)), reason="needs the extras eval and track")
def test_the_example_scores_a_run_by_all_of_them(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roles: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = benchmarks.run(
        "parrot", ["toy"], settings="fast", options={"data": {"test": 60}}, device="cpu", out="runs/r"
    )
    assert made.exit_code == 0
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_XDIST")}
    judges = ",".join(f"{role}={roles[role]}" for role in ("lm", "detoxify"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", str(EXAMPLE),
         "--benchmark-json", "runs/scoring.json"],
        env={**alone, "PYTHONPATH": str(ROOT), "RUN": "runs/r", "JUDGES": judges},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    scores = benchmarks.load("runs/r")
    values = scores[scores.system == "toy"].set_index("metric")["value"]
    assert 0 <= values["mauve"] <= 1 and 0 <= values["detoxify"] <= 1
    assert values[f"evaluate:{EXAMPLE / 'shared_words'}"] == pytest.approx(
        1.0
    )  # it says its source again, and a number
    evaluators = " ".join(scores.signature)
    assert "mauve-text" in evaluators and "detoxify" in evaluators and "evaluate" in evaluators
    told = json.loads(Path("runs/scoring.json").read_text())["benchmarks"]
    assert [one["name"] for one in told] == ["test_scoring"] and told[0]["stats"]["median"] > 0
    sql = "SELECT name FROM micro UNION SELECT DISTINCT system FROM scores"
    asked = subprocess.run(
        [sys.executable, "-m", "benchmarks", "history", "runs", "--sql", sql],
        env={**alone, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert asked.returncode == 0 and "test_scoring" in asked.stdout and "toy" in asked.stdout, asked.stderr
