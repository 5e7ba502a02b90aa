"""What a plan will cost: what was measured, and the likelihoods, which nobody times."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Likelihood, Limits
from benchmarks.planning import estimate, step_times
from benchmarks.planning.plan import Plan, make
from benchmarks.planning.run_config import gather
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


def test_a_budget_in_steps_is_so_many_times_a_step_that_is_timed(
    planned: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that ticks at each step: 10 steps of a system that says its steps, whatever their number."""
    monkeypatch.setattr(estimate, "_STEP_SECONDS", {})
    plan = planned(setting="fast")
    [*_, unknown] = estimate.sentences(plan)
    assert "training toy" in unknown and "from nothing that takes time" in [*estimate.sentences(plan)][-2]

    def train(self: Any, asked: Any, workdir: Path, *, device: str, progress: Any) -> Any:
        for step in range(asked.steps):
            clock[0] += 100.0 if step < step_times.WARM else 1.5
            progress("", (step + 1) / asked.steps, None)

    clock = [0.0]
    monkeypatch.setattr(step_times.Clock, "now", lambda self: clock[0])
    monkeypatch.setattr(estimate, "_STEP_SECONDS", {})
    system = plan.cells[0].contestant.system
    monkeypatch.setattr(system, "train_on_random_rows", train, raising=False)
    monkeypatch.setattr(system, "untrained", train, raising=False)
    assert minutes(plan) == pytest.approx(10 * 1.5 / 60, abs=0.06)
    assert "a few of which were timed" in [*estimate.sentences(plan)][1]


@pytest.mark.parametrize("name", ["cosmos"])
def test_real_systems_are_timed_in_all_their_stages(name: str) -> None:
    choices = gather({"task": "detox", "system": (name,)}, [f"{name}.recipe.budget=5steps"])
    contestant = next(p.contestant for p in make(choices, "cpu").cells if p.cell.system == name)
    seconds = step_times.of(contestant, Limits(20, 20), "cpu")
    assert seconds is not None and seconds > 0
