"""What the harness costs beside a system that does nothing: counted here, and measured by `tox -e bench`."""

from __future__ import annotations

import gc
import itertools
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.contract import Request, Sample
from benchmarks.running.generation import Conditions, generate
from benchmarks.timing.clock import Clock
from benchmarks.timing.protocol import Protocol, timed
from benchmarks.timing.verdict import Rules

sys.path.insert(0, str(Path(__file__).parent))
from calibration import units

BATCH = 25
FUNCTIONS = (
    760  # called for each timed call; 682 were counted: three clocks, seals, a verdict, and the machine read twice
)
# In units of `calibration`; 1.05, 1.1 and 0.0 were measured.
CALL_UNITS, WALL_UNITS, RECORDED_UNITS = 1.6, 2.4, 0.2


class Null:
    """Returns at once; its network is never called, but has hooks."""

    def __init__(self) -> None:
        self.network = torch.nn.Linear(1, 1)

    def networks(self) -> dict[str, Any]:
        return {"network": self.network}

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        return [Sample(request.id, "a text of some ten words or so, as there are", 12, True) for request in requests]


def requests(count: int) -> list[Request]:
    return [Request(f"world-detox-test-{n:06d}", "a source of some ten words", n, 40) for n in range(count)]


def cell(folder: Path, calls: int) -> None:
    """A whole cell of so many calls that return at once, each of one text: hooks, records, JSON and files."""
    folder.mkdir()
    generate(
        Null(),  # type: ignore[arg-type]
        None,
        requests(calls),
        folder,
        Conditions("cpu", 1, (), Protocol(), Rules()),
        progress=lambda share: None,
        say=print,
    )


# -- counted ------------------------------------------------------------------------------------------------------


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every call takes as long, so that warming up does, and no time passes that asks for a sync."""
    ticks = itertools.count()
    monkeypatch.setattr(Clock, "now", lambda self: next(ticks) * 1e-3)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)


@pytest.mark.usefixtures("still")
def test_a_call_costs_few_function_calls(tmp_path: Path) -> None:
    """Of Python's functions and those it calls in C: those of 300 calls but not of 100."""

    def called(calls: int) -> int:
        count = 0

        def see(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        gc.disable()  # what it calls depends on what else is in memory
        sys.setprofile(see)
        try:
            cell(tmp_path / str(calls), calls)
        finally:
            sys.setprofile(before)
            gc.enable()
        return count

    called(1)  # imports and caches
    each = (called(300) - called(100)) / 200
    print(f"{each:.1f} functions are called for each timed call")
    assert 0 < each <= FUNCTIONS


@pytest.mark.usefixtures("still")
def test_a_call_writes_two_lines_and_nothing_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def counted(*words: Any, **options: Any) -> Any:
            counts[name] += 1
            return real(*words, **options)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in ((os, "write"), (os, "fsync"), (os, "open"), (os, "replace"), (Path, "read_bytes")):
        count(owner, name)
    cell(tmp_path / "few", 100)
    few = counts.copy()
    counts.clear()
    cell(tmp_path / "many", 300)
    assert {name: counts[name] - few[name] for name in counts} == {
        "write": 2 * 200, "fsync": 0, "open": 0, "read_bytes": 0,
    }  # fmt: skip


# -- measured -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_recorded_seconds_are_those_of_the_system() -> None:
    """What is recorded exceeds by little what the system itself takes."""
    system, asked, clock = Null(), requests(BATCH), Clock("cpu")
    networks = system.networks()

    def added() -> float:
        plain, recorded = [], []
        for _ in range(200):
            started = time.perf_counter()
            system.generate(asked, None)
            plain.append(time.perf_counter() - started)
            recorded.append(timed(system, networks, asked, None, clock).seconds)  # type: ignore[arg-type]
        return statistics.median(recorded) - statistics.median(plain)

    found = units(added, time.perf_counter)
    print(f"recorded beyond what the system takes: {found:.3f} units")
    assert found < RECORDED_UNITS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clock", "most"), [(time.process_time, CALL_UNITS), (time.perf_counter, WALL_UNITS)], ids=["processor", "wall"]
)
def test_a_whole_cell_costs_little_a_call(tmp_path: Path, clock: Callable[[], float], most: float) -> None:
    calls, names, seconds = 200, itertools.count(), []

    def each() -> float:
        gc.collect()
        started = clock()
        cell(tmp_path / str(next(names)), calls)
        seconds.append((clock() - started) / calls)
        return seconds[-1]

    found = units(each, clock)
    print(f"harness cost per call: {found:.2f} units, {min(seconds) * 1e6:.0f} microseconds")
    assert found < most
