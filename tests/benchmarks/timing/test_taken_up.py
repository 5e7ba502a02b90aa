"""What a verdict knows of calls that came before an interruption, and of those that stood still."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from simulated import OTHERS, REQUESTS, SIZE, Honest, Machine

from baselines.contract import Request
from benchmarks.records import store
from benchmarks.records.schema import Json
from benchmarks.records.validity import LATENCY, calls_in, throughput
from benchmarks.running.generation import CellGeneration, Conditions
from benchmarks.timing.protocol import Protocol
from benchmarks.timing.verdict import Rules


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


class RemembersOnDisk(Honest):
    """Keeps the texts of requests that were asked before, whatever process asks again."""

    def __init__(self, machine: Machine, known: set[int]) -> None:
        super().__init__(machine)
        self.known = known

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        new = [request for request in requests if request.seed not in self.known]
        self.known |= {request.seed for request in requests}
        if not new:
            self.call_network()
            self.machine.work(0.001)
            return [self.sample(request) for request in requests]
        return super().generate(requests, setting)


def begun(system: Any, folder: Path, texts: int, sweep: Any = ()) -> CellGeneration:
    """A cell's generation in a process of its own, as far as a test can tell."""
    folder.mkdir(exist_ok=True)
    conditions = Conditions("cpu", SIZE, sweep, Protocol(), Rules(), OTHERS)
    made = CellGeneration(
        system,
        system.networks(),
        None,
        REQUESTS[:texts],
        folder,
        conditions,
        progress=lambda share: None,
        say=lambda line: None,
    )
    made.prepare()
    return made


def to_its_end(made: CellGeneration, first: int = 0) -> Json:
    turn = first
    while made.unfinished:
        made.take_turn(turn)
        turn += 1
    made.look()
    return made.finish()


@pytest.mark.parametrize("killed", ["before the last batch", "after all batches"])
def test_a_batch_whose_texts_were_asked_alone_counts_in_no_run_that_is_taken_up(
    machine: Machine, tmp_path: Path, killed: str
) -> None:
    known = set[int]()
    first = begun(RemembersOnDisk(machine, known), tmp_path / "cell", 3 * SIZE)
    for turn in range(3):
        first.take_turn(turn)
    folder = tmp_path / "cell"
    if killed == "before the last batch":
        lines = (folder / store.TIMINGS).read_text().splitlines(keepends=True)
        kept = [line for line in lines if not ('"kind":"batch"' in line and '"index":2' in line)]
        assert len(kept) == len(lines) - 1
        (folder / store.TIMINGS).write_text("".join(kept))
    said = to_its_end(begun(RemembersOnDisk(machine, known), folder, 3 * SIZE))
    timings = store.read_timings(folder)
    assert [t.asked_before for t in timings if t.kind == "batch"] == [False, False, True]
    counted = calls_in(timings, SIZE, throughput(SIZE))
    assert [t.index for t in counted if t.kind == "batch"] == [0, 1] and len(counted) == 5
    assert said["quantities"][throughput(SIZE)]["valid"], said["reasons"]


class StandsStill(Honest):
    """The machine moves on by twenty seconds in some calls of single texts."""

    def __init__(self, machine: Machine, stalls: Callable[[int], bool]) -> None:
        super().__init__(machine)
        self.singles, self.stalls = 0, stalls

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        if len(requests) == 1:
            self.singles += 1
            if self.stalls(self.singles):
                self.machine.stand_still(20.0)
        return super().generate(requests, setting)


@pytest.mark.parametrize("texts", [SIZE, 4 * SIZE])
def test_a_single_text_is_made_for_each_that_stood_still(machine: Machine, tmp_path: Path, texts: int) -> None:
    system = StandsStill(machine, lambda number: number in (5, 9))
    said = to_its_end(begun(system, tmp_path / "cell", texts))
    assert sum(call["kind"] == "latency" for call in said["stalled"]) == 2
    assert said["quantities"][LATENCY]["calls"] >= Protocol().latency_texts[0]
    assert said["quantities"][LATENCY]["valid"], said["reasons"]


def test_a_machine_that_stands_still_again_and_again_is_not_waited_for(machine: Machine, tmp_path: Path) -> None:
    system = StandsStill(machine, lambda number: number % 3 == 0)
    said = to_its_end(begun(system, tmp_path / "cell", SIZE))
    assert said["quantities"][LATENCY]["reasons"][0].startswith("stalls: ")
    assert system.singles < 24  # of which one begins each turn and does not count


def test_load_beside_batches_that_are_kept_is_not_forgotten(machine: Machine, tmp_path: Path) -> None:
    machine.others = 1.0
    first = begun(Honest(machine), tmp_path / "cell", 4 * SIZE)
    for turn in range(3):
        first.take_turn(turn)
    machine.others = 0.0
    said = to_its_end(begun(Honest(machine), tmp_path / "cell", 4 * SIZE))
    assert said["quantities"][throughput(SIZE)]["other_load"] > 0.2
    assert said["quantities"][throughput(SIZE)]["reasons"][0].startswith("not alone: ")
    assert said["quantities"][LATENCY]["valid"]  # made anew, alone


def test_load_beside_what_replaces_batches_is_seen(machine: Machine, tmp_path: Path) -> None:
    made = begun(Honest(machine), tmp_path / "cell", 1)
    made.take_turn(0)  # the only batch, whose text was asked alone
    machine.others = 1.0
    said = to_its_end(made, 1)
    assert said["quantities"][throughput(1)]["reasons"][0].startswith("not alone: ")
