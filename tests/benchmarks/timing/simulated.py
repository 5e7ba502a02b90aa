"""Systems on a simulated machine, honest ones and others: every second on its clocks is one that a system took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.contract import Request, Sample
from benchmarks.records import store
from benchmarks.records.schema import Json, SampleRecord, TimingRecord
from benchmarks.records.validity import calls_in, throughput
from benchmarks.running.generation import Conditions, generate
from benchmarks.timing import probes
from benchmarks.timing.clock import Clock
from benchmarks.timing.protocol import Protocol
from benchmarks.timing.verdict import Rules

SIZE, TEXTS, STEPS = 25, 200, 10
STEP_SECONDS, TEXT_SECONDS = 0.01, 0.008  # of a network call, and of each text: a batch takes 0.3 s
HONEST = SIZE / (STEPS * STEP_SECONDS + SIZE * TEXT_SECONDS)  # texts a second
WORDS = ["as", "many", "words", "as", "an", "answer", "has", "that", "nobody", "cut", "short"]


class Machine:
    """Clocks that go on when a system works or the machine stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.worked, self.busy = 0.0, 0.0, 0.0
        self.others = 0.0  # CPU seconds of other processes for each second on the wall
        self.others_used = 0.0
        monkeypatch.setattr(Clock, "now", lambda clock: self.wall)
        monkeypatch.setattr(Clock, "cpu", lambda clock: self.worked, raising=False)
        monkeypatch.setattr(Clock, "busy_outside", lambda clock: self.busy, raising=False)
        monkeypatch.setattr(time, "monotonic", lambda: self.wall)
        monkeypatch.setattr(probes.os, "cpu_count", lambda: 2)
        monkeypatch.setattr(probes, "_own_seconds", lambda: self.worked)
        monkeypatch.setattr(probes, "_busy_seconds", lambda: self.worked + self.others_used)

    def work(self, seconds: float) -> None:
        self.wall += seconds
        self.worked += seconds
        self.others_used += self.others * seconds

    def stand_still(self, seconds: float) -> None:
        """Nothing of this process runs."""
        self.wall += seconds


class Honest:
    """Calls its network ten times for a batch, and takes longer for more texts."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.network = machine, torch.nn.Linear(2, 2)
        self.asked: list[list[Request]] = []

    def networks(self) -> dict[str, Any]:
        return {"network": self.network}

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Any]:
        self.asked.append(list(requests))
        self.call_network()
        self.machine.work(STEPS * STEP_SECONDS + len(requests) * TEXT_SECONDS)
        return [self.sample(request) for request in requests]

    def call_network(self) -> None:
        for _ in range(STEPS):
            self.network(torch.zeros(1, 2))

    def sample(self, request: Request) -> Any:
        return Sample(request.id, text_of(request), len(WORDS) + 1, True)


def text_of(request: Request) -> str:
    return " ".join([*WORDS, str(request.seed % 97)])


REQUESTS = [Request(f"test-{n}", f"a source {n:03}", 1000 + n, 40) for n in range(TEXTS)]
OTHERS = tuple(Request(f"validation-{n}", f"another {n:03}", 5000 + n, 40) for n in range(60))


@dataclass
class Result:
    """What came of a cell."""

    said: Json
    timings: tuple[TimingRecord, ...]
    samples: tuple[SampleRecord, ...]
    lines: list[str] = field(default_factory=list)

    def calls(self, quantity: str) -> list[TimingRecord]:
        """The calls that count."""
        stalled = {(call["kind"], call["index"]) for call in self.said.get("stalled", ())}
        made = calls_in(self.timings, self.said["batch_size"], quantity)
        return [timing for timing in made if (timing.kind, timing.index) not in stalled]

    def rate(self, size: int = SIZE) -> float:
        """Texts a second."""
        calls = self.calls(throughput(size))
        return sum(len(timing.ids) for timing in calls) / sum(timing.seconds for timing in calls)

    def reasons(self, quantity: str) -> list[str]:
        """Why a quantity is not valid; of old verdicts, why nothing is."""
        found: list[str] = self.said.get("quantities", {}).get(quantity, self.said)["reasons"]
        return found


def result(
    system: Any, folder: Path, *, sweep: Any = (), texts: int = TEXTS, protocol: Protocol | None = None, **rules: Any
) -> Result:
    """Have a system generate."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    conditions = Conditions("cpu", SIZE, sweep, protocol or Protocol(), Rules(**rules))
    if hasattr(conditions, "others"):
        conditions = Conditions("cpu", SIZE, sweep, protocol or Protocol(), Rules(**rules), OTHERS)
    said = generate(system, None, REQUESTS[:texts], folder, conditions, progress=lambda share: None, say=lines.append)
    return Result(said, store.read_timings(folder), store.read_samples(folder), lines)
