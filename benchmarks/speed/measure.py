"""Measuring one entry: a batch from requests to texts, again and again; and one call of each of its networks."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from baselines.contract import DeclaresOwnCalls, Request
from benchmarks.running.seeds import request_seed
from benchmarks.speed.work import NetworkWork, arguments, count
from benchmarks.timing import memory
from benchmarks.timing.clock import Clock
from benchmarks.timing.passes import capture_of
from benchmarks.timing.phases import uncaptured
from benchmarks.timing.protocol import Call, Protocol, timed, warm_up

LEAST, MOST = 3, 50  # repeats; between them the seconds decide
SHORT_STEPS = 3  # of a generation that is run only to see what networks are called with
PART_BLOCKS, PART_SHARE = 5, 0.3  # blocks of calls of one network, and what they may take of the seconds of an entry


@dataclass(frozen=True)
class BatchSeconds:
    """Seconds of the calls before a steady state, and of those in it."""

    preparation: tuple[float, ...]
    seconds: tuple[float, ...]
    peak_bytes: int | None


@dataclass
class Bench:
    """A system with random weights, and what has been found out about it.

    Attributes:
        system: ready to generate (`baselines.contract.SupportsRandomWeights`).
        length: positions of a text, the given first one included.
        seconds: how long repeats of one entry may go on.
    """

    system: Any
    length: int
    device: str
    seconds: float
    _works: dict[Any, NetworkWork] = field(default_factory=dict)
    _parts: dict[Any, dict[str, float]] = field(default_factory=dict)

    def requests(self, batch: int) -> list[Request]:
        return [Request(str(n), None, request_seed(0, str(n)), self.length - 1) for n in range(batch)]

    def work(self, setting: Any, batch: int) -> NetworkWork:
        """What one text costs, counted once per setting; the calls are those of a batch of any size. What the batch
        costs where a text of it costs less than one alone (`baselines.contract.DeclaresOwnCalls`)."""
        plain = uncaptured(setting)
        texts = batch if has_own_calls(plain) else 1
        if (plain, texts) not in self._works:
            asked, networks = self.requests(texts), self.system.networks()
            self._works[plain, texts] = count(networks, lambda: self.system.generate(asked, plain), texts)
        return self._works[plain, texts]

    def weight_bytes(self, work: NetworkWork) -> float:
        """Bytes of weights that all calls of one batch read, each weight once a call."""
        sizes = {name: _bytes(network) for name, network in self.system.networks().items()}
        return float(sum(sizes[name] * calls for name, calls in work.calls.items()))

    def generation(self, setting: Any, batch: int) -> BatchSeconds:
        """Batches from requests to texts, until two in a row agree; then those that count."""
        requests, clock, networks = self.requests(batch), Clock(self.device), self.system.networks()

        def call() -> Call:
            return timed(self.system, networks, requests, setting, clock)

        memory.forget_peak(self.device)
        warm = [done.seconds for done in warm_up(call, Protocol(warmups=(2, 5), warmup_seconds=self.seconds))]
        durations: list[float] = []
        while len(durations) < LEAST or (sum(durations) < self.seconds and len(durations) < MOST):
            durations.append(call().seconds)
        return BatchSeconds(tuple(warm), tuple(durations), memory.gpu_peak_bytes(self.device))

    def parts(self, setting: Any, batch: int) -> dict[str, float]:
        """Seconds of one call of each network, in the middle of its work, as the setting captures it.

        Settings that differ in their number of steps alone share them, unless their calls depend on it.
        """
        plain, capture = uncaptured(setting), capture_of(setting)
        key = (shortened(plain), capture, batch)
        if key not in self._parts:
            calls = self.calls(setting, batch)
            self._parts[key] = {name: self._call_seconds(call) for name, call in calls.items()}
        return self._parts[key]

    def calls(self, setting: Any, batch: int) -> dict[str, Callable[[], object]]:
        """A call of each network, in the middle of its work, that can be repeated; as the setting captures it."""
        plain, work, capture = uncaptured(setting), self.work(setting, batch), capture_of(setting)
        short, requests = shortened(plain), self.requests(batch)
        found = arguments(self.system.networks(), lambda: self.system.generate(requests, short), work.calls)
        return {name: self.system.repeated(name, part.positional, part.named, capture) for name, part in found.items()}

    def _call_seconds(self, call: Callable[[], object]) -> float:
        """The median over blocks of calls, which follow each other without a wait, as they do in a loop."""
        clock, least = Clock(self.device), 1e-6
        for _ in range(3):  # compiles, records
            started = clock.now()
            call()
            least = max(1e-6, clock.now() - started)
        size = max(1, min(200, int(PART_SHARE * self.seconds / PART_BLOCKS / least)))
        means = []
        for _ in range(PART_BLOCKS):
            started = clock.now()
            for _ in range(size):
                call()
            means.append((clock.now() - started) / size)
        return statistics.median(means)


def shortened(setting: Any) -> Any:
    """The setting with few steps, where it has steps and its calls do not depend on them."""
    if not hasattr(setting, "steps") or has_own_calls(setting):
        return setting
    return dataclasses.replace(setting, steps=min(SHORT_STEPS, setting.steps))


def has_own_calls(setting: Any) -> bool:
    """As the setting says it (`baselines.contract.DeclaresOwnCalls`)."""
    return isinstance(setting, DeclaresOwnCalls) and setting.own_calls


def parameters(networks: Mapping[str, Any]) -> dict[str, int]:
    """Parameters of each network."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def _bytes(network: Any) -> int:
    return sum(p.numel() * p.element_size() for p in network.parameters())
