"""What a plan will cost: what was measured, and the likelihoods, which nobody times."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Likelihood
from benchmarks.planning import estimate
from benchmarks.planning.plan import Plan
from benchmarks.records import store
from benchmarks.records.schema import LikelihoodRecord, TimingRecord
from benchmarks.running import runner

Make = Callable[..., Plan]
TEXTS = ("a", "b", "c", "d")


def rows(kind: Any, draws: int) -> list[LikelihoodRecord]:
    return [LikelihoodRecord(key, 1.0, 3, kind, draws, None) for key in TEXTS]


@pytest.mark.parametrize(("kind", "draws", "passes"), [("exact", 0, 1), ("exact", 1, 1), ("bound", 16, 16)])
def test_a_pass_costs_what_a_call_does(kind: str, draws: int, passes: int) -> None:
    """Two batches of two texts, each of five calls: 0.1 seconds for a text and call. What else was timed counts not."""
    timings = [
        TimingRecord("warmup", 0, ("a",), 50.0, {"net": 5}),
        TimingRecord("batch", 0, ("a", "b"), 1.25, {"net": 4, "encoder": 1}),
        TimingRecord("batch", 1, ("c", "d"), 0.75, {"net": 4, "encoder": 1}),
        TimingRecord("latency", 0, ("a",), 50.0, {"net": 5}),
    ]
    assert estimate.likelihood_seconds(timings, rows(kind, draws)) == pytest.approx(0.1 * len(TEXTS) * passes)
    assert estimate.likelihood_seconds(timings, ()) == 0.0
    silent = [dataclasses.replace(timing, calls={}) for timing in timings]
    assert estimate.likelihood_seconds(silent, rows(kind, draws)) == 0.0, "a floor has no network"


def minutes(plan: Plan) -> float:
    [said] = [said for said in estimate.sentences(plan) if said.startswith("Estimate")]
    found = re.search(r"Estimate: ([0-9.]+) minutes", said)
    assert found is not None
    return float(found[1])


def test_the_likelihoods_of_a_checkpoint_are_counted_once_for_all_its_cells(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = planned(setting="fast")
    system = first.cells[0].contestant.system
    monkeypatch.setattr(
        system, "likelihoods", lambda self, documents, seeds: [
            Likelihood(document.id, 1.0, "bound", 16) for document in documents
        ], raising=False,
    )  # fmt: skip
    assert "likelihoods by toy" in [*estimate.sentences(first)][-1], "nothing is known before a record"
    assert runner.run(first, quiet, ("fit", "generate")).exit_code == 0
    [record] = store.read_run(tmp_path / "run")
    took = estimate.measured(first)["toy"]
    batches = [timing for timing in record.timings if timing.kind == "batch"]
    calls = sum(len(timing.ids) * sum(timing.calls.values()) for timing in batches)
    assert took.likelihood_seconds == pytest.approx(23 * 16 * sum(timing.seconds for timing in batches) / calls)
    monkeypatch.setattr(
        estimate,
        "measured",
        lambda plan: {"toy": dataclasses.replace(took, generate_seconds=60.0, likelihood_seconds=600.0)},
    )
    assert minutes(planned(setting="default,slow-9")) == 12.0, "two cells to generate, one checkpoint"
