"""How generating is timed: warm up, time every batch, then time single texts and see that they are the same texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baselines.contract import Request, Sample, System
from benchmarks.timing.clock import Clock
from benchmarks.timing.probes import counting


@dataclass(frozen=True)
class Protocol:
    """How much is timed.

    Attributes:
        warmups: fewest and most calls before anything counts.
        warmup_seconds: no further warm-up call is begun after so long.
        stable: warm-up ends when two calls in a row differ by less than this share.
        rehearse: whether everything that is to be timed is made once before, as where a system compiles or records for
            every shape that it meets, which texts of other lengths may have.
        latency_texts: single texts timed, at most and at least.
        latency_seconds: no further single text beyond the least is begun after so long.
        sweep_calls: calls timed of every other batch size, at least and at most.
        sweep_seconds: no further such call beyond the least is begun after so long.
    """

    warmups: tuple[int, int] = (1, 5)
    warmup_seconds: float = 5.0
    stable: float = 0.1
    rehearse: bool = False
    latency_texts: tuple[int, int] = (5, 10)
    latency_seconds: float = 20.0
    sweep_calls: tuple[int, int] = (3, 10)
    sweep_seconds: float = 5.0


@dataclass(frozen=True)
class Call:
    """One timed call of `System.generate`."""

    samples: tuple[Sample, ...]
    seconds: float
    calls: Mapping[str, int]


def timed(system: System, requests: Sequence[Request], setting: Any, clock: Clock) -> Call:
    """Generate once, and measure what the system does not know of: time and network calls."""
    with counting(system.networks()) as calls:
        started = clock.now()
        samples = system.generate(requests, setting)
        seconds = clock.now() - started
    asked, answered = [request.id for request in requests], [sample.id for sample in samples]
    assert asked == answered, (
        f"the system must answer every request in order: asked {asked[:3]}..., got {answered[:3]}..."
    )
    return Call(tuple(samples), seconds, calls)


def batches(requests: Sequence[Request], size: int) -> list[Sequence[Request]]:
    """The requests in order, `size` at a time; the last batch may be smaller."""
    return [requests[start : start + size] for start in range(0, len(requests), size)]


def warm_up(call: Callable[[], Call], protocol: Protocol) -> Iterator[Call]:
    """Call until two durations in a row agree, within the protocol's bounds."""
    least, most = protocol.warmups
    spent, last = 0.0, None
    for count in range(1, most + 1):
        done = call()
        yield done
        spent += done.seconds
        steady = last is not None and abs(done.seconds - last) <= protocol.stable * last
        if count >= least and (steady or spent >= protocol.warmup_seconds):
            return
        last = done.seconds


def single(call: Callable[[Request], Call], requests: Sequence[Request], protocol: Protocol) -> Iterator[Call]:
    """Generate texts one at a time, as many as the protocol allows."""
    return _repeated(map(call, requests), protocol.latency_texts, protocol.latency_seconds)


def repeat(call: Callable[[], Call], protocol: Protocol) -> Iterator[Call]:
    """Generate the same texts again and again, as often as the protocol allows for another batch size."""
    return _repeated(iter(call, None), protocol.sweep_calls, protocol.sweep_seconds)


def _repeated(calls: Iterator[Call], bounds: tuple[int, int], seconds: float) -> Iterator[Call]:
    """At most and at least as many calls as the bounds say; beyond the least, none is begun after some seconds."""
    least, most = bounds
    spent = 0.0
    for count in range(most):
        if count >= least and spent >= seconds:
            return
        done = next(calls, None)
        if done is None:
            return
        yield done
        spent += done.seconds
