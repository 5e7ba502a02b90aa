"""What a machine does to timings: stalls, other processes, clocks that disagree; and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from simulated import HONEST, SIZE, Honest, Machine, result

from baselines.contract import Request
from benchmarks.records.validity import LATENCY, throughput
from benchmarks.timing import probes
from benchmarks.timing.clock import CallDurations, Clock

AT = throughput(SIZE)
CLOSE = pytest.approx(HONEST, rel=0.01)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


class Disturbed(Honest):
    """Something happens during some of its batches, or of its single texts."""

    def __init__(self, machine: Machine, when: Sequence[int], seconds: float, size: int = SIZE, *, own: bool = False):
        super().__init__(machine)
        self.when, self.seconds, self.size, self.own = when, seconds, size, own
        self.made = 0

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        if len(requests) == self.size and requests[0].id.startswith("test"):
            if self.made in self.when:
                (self.machine.work if self.own else self.machine.stand_still)(self.seconds)
            self.made += 1
        return super().generate(requests, setting)


def test_a_stall_of_twenty_seconds_in_one_of_eight_batches(machine: Machine, tmp_path: Path) -> None:
    """It was 8.9 instead of 79 texts a second, and valid, as an interquartile range knows no outlier."""
    found = result(Disturbed(machine, [3], 20.0), tmp_path)
    assert found.said["valid"], found.said["reasons"]
    assert found.rate() == CLOSE
    [stalled] = found.said["stalled"]
    assert (stalled["kind"], stalled["index"]) == ("batch", 3)
    assert stalled["reason"] == "20.3 s, 0.3 s of it work; its like take 0.3 s"
    kept = next(timing for timing in found.timings if (timing.kind, timing.index) == ("batch", 3))
    assert kept.seconds == pytest.approx(20.3)
    assert [timing.kind for timing in found.calls(AT)] == ["batch"] * 6 + ["sweep"]  # it was repeated


def test_a_call_that_stalled_is_repeated_where_it_lacks(machine: Machine, tmp_path: Path) -> None:
    found = result(Disturbed(machine, [1], 20.0), tmp_path, texts=150)  # five batches that count, and one that does not
    assert found.said["valid"], found.said["reasons"]
    assert [timing.kind for timing in found.calls(AT)] == ["batch"] * 4 + ["sweep"]
    assert found.rate() == CLOSE


def test_many_stalls_are_no_accident(machine: Machine, tmp_path: Path) -> None:
    found = result(Disturbed(machine, [0, 2, 4], 20.0), tmp_path)
    assert found.reasons(AT) == ["stalls: 3 of 10 calls stood still, 25% may"]
    assert found.reasons(LATENCY) == []


def test_a_batch_that_is_slow_by_its_own_work_is_no_stall(machine: Machine, tmp_path: Path) -> None:
    found = result(Disturbed(machine, [3], 20.0, own=True), tmp_path)
    assert found.said["stalled"] == []
    assert found.reasons(AT) == ["unsteady: the slowest call took 67.7 times the median, 2 are allowed"]


def test_a_doubtful_latency_leaves_the_throughput_valid(machine: Machine, tmp_path: Path) -> None:
    found = result(Disturbed(machine, range(0, 100, 2), 0.5, size=1, own=True), tmp_path)
    assert found.reasons(LATENCY)[0].startswith("unsteady: timings spread by")
    assert found.reasons(AT) == []
    assert found.said["quantities"][AT]["valid"]
    assert not found.said["valid"]


@pytest.mark.parametrize(("cores", "share"), [(2, "50%"), (4, "25%"), (8, None)])
def test_one_core_that_burns_beside_it_is_a_reason_where_it_is_much_of_the_machine(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, share: str | None
) -> None:
    machine.others = 1.0
    monkeypatch.setattr(probes.os, "cpu_count", lambda: cores)
    found = result(Honest(machine), tmp_path)
    reasons = [f"not alone: other processes used {share} of the machine, 20% is allowed"] if share else []
    for quantity in (AT, LATENCY):
        assert found.reasons(quantity) == reasons
        assert found.said["quantities"][quantity]["valid"] == (share is None)


class DisturbedAlone(Honest):
    """Another process works on one of two cores while single texts are made, and only then."""

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        self.machine.others = 1.0 if len(requests) == 1 else 0.0
        return super().generate(requests, setting)


def test_what_went_on_during_single_texts_is_not_held_against_batches(machine: Machine, tmp_path: Path) -> None:
    found = result(DisturbedAlone(machine), tmp_path)
    assert found.reasons(AT) == []
    assert found.reasons(LATENCY) == ["not alone: other processes used 50% of the machine, 20% is allowed"]


@pytest.mark.parametrize(("share", "doubted"), [(1.0, False), (0.985, False), (0.97, True), (1.03, True)])
def test_events_on_the_device_and_the_wall_must_agree(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, doubted: bool
) -> None:
    stop = Clock.stop

    def with_events(clock: Clock, started: Any) -> CallDurations:
        took = stop(clock, started)
        return CallDurations(took.seconds, took.seconds * share, took.cpu_seconds)

    monkeypatch.setattr(Clock, "stop", with_events)
    reasons = result(Honest(machine), tmp_path).reasons(AT)
    assert [reason.split(" by ")[0] for reason in reasons] == (
        ["clocks: the wall and events on the device disagree"] if doubted else []
    )


class SettlesLate(Honest):
    """Is slow until it was called so often."""

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        if len(self.asked) < 3:
            self.machine.work(2.0)
        return super().generate(requests, setting)


def test_a_system_that_is_not_warm_yet(machine: Machine, tmp_path: Path) -> None:
    reasons = result(SettlesLate(machine), tmp_path).reasons(AT)
    assert reasons == ["not warmed up: the last calls before it took 7.7 times as long"]


def test_few_requests_are_asked_in_more_batches_of_other_seeds(machine: Machine, tmp_path: Path) -> None:
    """A run of one batch had no valid throughput."""
    found = result(Honest(machine), tmp_path, texts=SIZE)
    assert found.said["valid"], found.said["reasons"]
    assert [timing.kind for timing in found.calls(AT)] == ["sweep"] * 5
    assert found.rate() == CLOSE


def test_time_is_bounded_and_what_lacks_is_said(machine: Machine, tmp_path: Path) -> None:
    class Slow(Honest):
        def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
            self.machine.work(60.0)
            return super().generate(requests, setting)

    found = result(Slow(machine), tmp_path, texts=2 * SIZE)
    assert found.reasons(AT) == ["too few rounds: 2 timed calls, 5 are needed"]
    assert len(found.calls(LATENCY)) == 10


def test_single_texts_are_as_many_as_the_width_of_the_interval_asks(machine: Machine, tmp_path: Path) -> None:
    steady = result(Honest(machine), tmp_path / "steady")
    shaky = result(Disturbed(machine, range(0, 999, 3), 0.02, size=1, own=True), tmp_path / "shaky")
    assert len(steady.calls(LATENCY)) == 10
    assert 10 < len(shaky.calls(LATENCY)) <= 100
    assert sum(timing.seconds for timing in shaky.calls(LATENCY)) < 8.0


def test_rounds_are_recorded(machine: Machine, tmp_path: Path) -> None:
    found = result(Honest(machine), tmp_path, sweep=(50,))
    assert [timing.round for timing in found.timings if timing.kind == "batch"] == list(range(8))
    sweeps = [timing.round for timing in found.timings if timing.kind == "sweep"]
    assert sweeps == sorted(sweeps) and len(set(sweeps)) == len(sweeps) >= 3
    first = found.timings[-2]
    assert first.cpu_seconds == pytest.approx(first.seconds) and first.kept == {"words": 12 * SIZE}
