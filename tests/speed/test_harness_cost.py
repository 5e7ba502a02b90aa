"""What the harness costs beside a system that does nothing: under 1 % of a call of 10 ms."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.contract import Request, Sample
from benchmarks.generation import Conditions, generate
from benchmarks.timing.clock import Clock
from benchmarks.timing.protocol import Protocol, timed
from benchmarks.timing.verdict import Rules

CALL_SECONDS = 0.010
SHARE = 0.01
BATCH = 25


class Null:
    """Returns at once; its network is never called, but has hooks."""

    def __init__(self) -> None:
        self.network = torch.nn.Linear(1, 1)
        self.inside = 0.0

    def networks(self) -> dict[str, Any]:
        return {"network": self.network}

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        return [Sample(request.id, "a text of some ten words or so, as there are", 12, True) for request in requests]


def requests(count: int) -> list[Request]:
    return [Request(f"world-detox-test-{n:06d}", "a source of some ten words", n, 40) for n in range(count)]


def added(repeats: int) -> float:
    """The least seconds, of several rounds, by which what is recorded exceeds what the system itself takes."""
    system, wanted, clock = Null(), requests(BATCH), Clock("cpu")
    rounds = []
    for _ in range(7):
        plain, recorded = [], []
        for _ in range(repeats):
            started = time.perf_counter()
            system.generate(wanted, None)
            plain.append(time.perf_counter() - started)
            recorded.append(timed(system, wanted, None, clock).seconds)  # type: ignore[arg-type]
        rounds.append(statistics.median(recorded) - statistics.median(plain))
    return min(rounds)


def test_recorded_seconds_are_those_of_the_system() -> None:
    assert added(200) < SHARE * CALL_SECONDS


def cost_of_a_call(folder: Path, clock: Callable[[], float]) -> float:
    """Seconds per call of a whole cell of 200 calls that return at once: hooks, records, JSON and files; the best of
    several cells."""
    calls, best = 200, float("inf")
    for attempt in range(5):
        system, wanted = Null(), requests(calls)  # batches of one text, which a 10 ms call would be
        cell = folder / str(attempt)
        cell.mkdir()
        gc.collect()
        started = clock()
        generate(
            system,  # type: ignore[arg-type]
            None,
            wanted,
            cell,
            Conditions("cpu", 1, (), Protocol(), Rules()),
            progress=lambda share: None,
            say=print,
        )
        best = min(best, (clock() - started) / calls)
    print(f"harness cost per call: {best * 1e6:.0f} microseconds, {best / CALL_SECONDS:.2%} of a call of 10 ms")
    return best


def test_a_whole_cell_costs_under_one_percent_of_its_calls(tmp_path: Path) -> None:
    """In seconds of this process, which others on the machine do not lengthen."""
    assert cost_of_a_call(tmp_path, time.process_time) < SHARE * CALL_SECONDS


@pytest.mark.slow  # waits for the disk, and for whoever else is at work: for a machine of its own
def test_a_whole_cell_costs_under_one_percent_on_the_wall(tmp_path: Path) -> None:
    assert cost_of_a_call(tmp_path, time.perf_counter) < SHARE * CALL_SECONDS


@pytest.mark.benchmark(group="harness")
def test_cost_of_a_timed_call(benchmark: Any) -> None:
    system, wanted, clock = Null(), requests(BATCH), Clock("cpu")
    benchmark(lambda: timed(system, wanted, None, clock))  # type: ignore[arg-type]
