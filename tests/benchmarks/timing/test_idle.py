"""What lives on and works while nothing is asked."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest
import torch

from benchmarks.timing import clock
from benchmarks.timing.audit import idle
from benchmarks.timing.audit.generated import outside_the_clock
from benchmarks.timing.audit.idle import Bystanders, Idle, look
from benchmarks.timing.clock import Clock


class Watches:
    """A wall on which sleeping passes, and a process that is busy meanwhile."""

    def __init__(self, *cores: float) -> None:
        self.wall, self.cpu, self.cores = 5.0, 1.0, list(cores)

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.cpu += seconds * (self.cores.pop(0) if self.cores else 0.0)

    def look(self) -> Idle:
        return look("cpu", cpu=lambda: self.cpu, wall=lambda: self.wall, sleep=self.sleep)


def test_the_quietest_window_counts() -> None:
    """The first sleep is for settling; a thread that falls asleep in one window does not count."""
    assert Watches(1.0, 1.0, 0.0, 1.0).look() == Idle(0.0)
    assert Watches(0.0, 1.0, 0.5, 0.75).look() == Idle(pytest.approx(0.5))


@pytest.fixture
def waiting() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()


def test_threads_and_processes_that_live_on_are_named(waiting: threading.Event) -> None:
    before = Bystanders()
    assert before.others() == ()
    assert outside_the_clock(before, Idle(0.0)).outcome == "holds"
    threading.Thread(target=waiting.wait, name="prefetch", daemon=True).start()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        said = outside_the_clock(before, Idle(0.0))
        assert said.outcome == "found"
        assert f"process {child.pid}, thread prefetch live on" in said.said
        assert Bystanders().others() == ()
    finally:
        child.communicate(b"\n")


def test_threads_of_libraries_are_let_be(waiting: threading.Event) -> None:
    before = Bystanders()

    def work() -> None:
        waiting.wait()

    work.__module__ = "torch.something"
    threading.Thread(target=work, daemon=True).start()
    assert before.others() == ()


@pytest.mark.parametrize(
    ("seen", "said"),
    [(Idle(0.9), "0.9 cores are busy"), (Idle(0.0, 0.7), "the device is at work 70% of the time")],
)
def test_work_is_found(seen: Idle, said: str) -> None:
    found = outside_the_clock(Bystanders(), seen)
    assert found.outcome == "found"
    assert said in found.said


def test_cpu_seconds_are_those_of_the_process_and_of_its_children_that_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `look` reads where nobody gives it another clock: of all threads, and not of a child that has just ended."""

    class Child:
        def __init__(self, user: float | None) -> None:
            self.user = user

        def cpu_times(self) -> SimpleNamespace:
            if self.user is None:
                raise psutil.NoSuchProcess(1)
            return SimpleNamespace(user=self.user, system=0.25)

    watches = Watches(0.0, 0.5, 1.0, 0.75)
    monkeypatch.setattr(idle, "time", SimpleNamespace(process_time=lambda: watches.cpu))
    monkeypatch.setattr(idle, "_children", lambda: [Child(2.0), Child(None), Child(4.0)])
    assert idle.cpu_seconds() == 1.0 + 2.25 + 4.25
    assert look("cpu", wall=lambda: watches.wall, sleep=watches.sleep) == Idle(pytest.approx(0.5))


@pytest.mark.slow
def test_a_busy_thread_is_seen_by_the_real_clocks(waiting: threading.Event) -> None:
    """By its CPU seconds, of which it gets some within a minute on the most loaded machine."""

    def spin() -> None:
        while not waiting.is_set():
            sum(range(1000))

    spent = idle.cpu_seconds()
    threading.Thread(target=spin, daemon=True).start()
    turns = 0
    while idle.cpu_seconds() - spent <= 0.05 and turns < 6000:
        turns += 1
        waiting.wait(0.01)
    assert idle.cpu_seconds() - spent > 0.05, "a minute of work was not seen"


def test_work_on_the_device_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that has been given nothing, waiting for it takes no time; here it takes as long as the sleep."""
    watches = Watches()
    waits = iter([0.0, 0.01] * idle.WINDOWS)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: watches.sleep(next(waits)))
    seen = look("cuda:0", cpu=lambda: 0.0, wall=lambda: watches.wall, sleep=watches.sleep)
    assert seen.device == pytest.approx(0.5)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    assert look("cuda:0", cpu=lambda: 0.0, wall=lambda: watches.wall, sleep=watches.sleep).device == 0.0


def test_cores_at_work_between_calls_are_those_of_a_window_after_threads_fell_asleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    wall, spent = iter((10.0, 10.01)), iter((3.0, 3.004))
    monkeypatch.setattr(clock, "time", SimpleNamespace(sleep=slept.append, perf_counter=lambda: next(wall)))
    monkeypatch.setattr(Clock, "cpu", lambda self: next(spent))
    assert Clock("cpu").busy_outside(settle=0.02, window=0.005) == pytest.approx(0.4)
    assert slept == [0.02, 0.005]
