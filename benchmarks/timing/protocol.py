"""How generating is timed: warm up, time calls in rounds, and see that what was timed is what was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from baselines.contract import Request, Sample, System
from benchmarks.timing.clock import CallDurations, Clock
from benchmarks.timing.plain import plain_samples
from benchmarks.timing.probes import counting


@dataclass(frozen=True)
class Protocol:
    """How much is timed.

    Attributes:
        warmups: fewest and most calls before anything counts.
        warmup_seconds: no further warm-up call is begun after so long.
        stable: warm-up ends when two calls in a row differ by less than this share.
        rehearse: whether as much as is to be timed is made once before, by requests of the same shapes, as where a
            system compiles or records for every shape that it meets, which texts of other lengths may have.
        rounds: turns that systems and settings take at most.
        latency_texts: single texts timed, at least and at most.
        latency_seconds: no further single text beyond the least is begun after so long.
        latency_width: nor when the 95 % interval of the median is no wider than this share of it.
        calls: calls timed of the batch size of the run, at least; batches that lack are made of other seeds.
        sweep_calls: calls timed of every other batch size, at least and at most.
        sweep_seconds: no further such call beyond the least is begun after so long.
        again_seconds: no further call in place of one that lacks or stalled is begun after so long.
        processes: processes of their own in which everything is timed besides.
        tail_texts: single texts that each of those times at most; beyond the least none after `tail_seconds`.
    """

    warmups: tuple[int, int] = (1, 5)
    warmup_seconds: float = 5.0
    stable: float = 0.1
    rehearse: bool = False
    rounds: int = 10
    latency_texts: tuple[int, int] = (10, 100)
    latency_seconds: float = 4.0
    latency_width: float = 0.05
    calls: int = 5
    sweep_calls: tuple[int, int] = (3, 10)
    sweep_seconds: float = 5.0
    again_seconds: float = 5.0
    processes: int = 0
    tail_texts: int = 130  # with those of three processes, enough for the 99th percentile, and some to spare
    tail_seconds: float = 20.0


@dataclass(frozen=True)
class Call:
    """One timed call of `System.generate`; what was seen beside it is as its record has it."""

    samples: tuple[Sample, ...]
    seconds: float
    calls: Mapping[str, int]
    device_seconds: float | None = None
    cpu_seconds: float | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    slowed: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds_per_call(self) -> float:
        """Per call of the first network, or of the whole where there is none."""
        return per_network_call(self.seconds, self.calls)


def per_network_call(seconds: float, calls: Mapping[str, int]) -> float:
    """Seconds per call of the first network, as texts differ in how many they take; of all where there is none."""
    for count in calls.values():
        return seconds / count if count > 1 else seconds
    return seconds


def timed(system: System, networks: Mapping[str, Any], requests: Sequence[Request], setting: Any, clock: Clock) -> Call:
    """Generate once, and measure what the system does not know of: time and network calls.

    Args:
        networks: what `System.networks` gave, which is asked once, before anything is timed.

    The clock stops when the answers are plain values (`plain_samples`), so that nothing is put off.
    """
    with counting(networks) as calls:
        started = clock.start()
        samples = plain_samples(system.generate(requests, setting))
        took: CallDurations = clock.stop(started)
    asked, answered = [request.id for request in requests], [sample.id for sample in samples]
    assert asked == answered, (
        f"the system must answer every request in order: asked {asked[:3]}..., got {answered[:3]}..."
    )
    return Call(samples, took.seconds, calls, took.device_seconds, took.cpu_seconds)


def batches(requests: Sequence[Request], size: int) -> list[Sequence[Request]]:
    """The requests in order, `size` at a time; the last batch may be smaller."""
    return [requests[start : start + size] for start in range(0, len(requests), size)]


def shares(count: int, parts: int) -> list[range]:
    """`count` places in order in at most so many parts, as equal as may be, none of them empty."""
    parts = max(1, min(count, parts))
    return [range(count * part // parts, count * (part + 1) // parts) for part in range(parts)]


def warm_up(call: Callable[[], Call], protocol: Protocol) -> Iterator[Call]:
    """Call until two durations in a row agree, within the protocol's bounds."""
    least, most = protocol.warmups
    spent, last = 0.0, None
    for count in range(1, most + 1):
        done = call()
        yield done
        spent += done.seconds
        each = done.seconds_per_call
        steady = last is not None and abs(each - last) <= protocol.stable * last
        if count >= least and (steady or spent >= protocol.warmup_seconds):
            return
        last = each


def wanted(count: int, spent: float, bounds: tuple[int, int], seconds: float) -> bool:
    """Whether another call is to be made: at least and at most as many as the bounds say; beyond the least, none is
    begun after some seconds."""
    least, most = bounds
    return count < least or (count < most and spent < seconds)
