"""What else a machine does while calls of a kind are timed: other processes, and what slows it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.timing import cpu_state
from benchmarks.timing.cpu_state import CpuState
from benchmarks.timing.gpu_state import Gpu, GpuState
from benchmarks.timing.probes import OtherLoad

TELLING_SECONDS = 0.25  # of a shorter time the system's count of busy cores, in hundredths of a second, says too little
SLOWED = 0.05  # of the time, below which being slowed is no matter
_OF_LOAD = ("power cap", "sync boost")  # what a GPU at work may meet for a moment; how long is counted besides


@dataclass(frozen=True)
class Surroundings:
    """What else went on while a quantity was timed; None where the machine does not tell.

    Attributes:
        other_cpu: share of all cores that other processes used.
        other_gpu_processes: how many other processes had work on the GPU.
        slowed_by: what slowed the machine, in words.
    """

    other_cpu: float | None = None
    other_gpu_processes: int | None = None
    slowed_by: tuple[str, ...] = ()


@dataclass
class _Seen:
    """What was seen of one kind of call."""

    others: float = 0.0  # CPU seconds
    available: float = 0.0  # the same of all cores
    wall: float = 0.0
    slowed: dict[str, float] = field(default_factory=dict)  # seconds by cause
    causes: set[str] = field(default_factory=set)
    gpu_processes: int | None = None


class Watch:
    """Looks at the machine before and after calls, never meanwhile."""

    def __init__(self, gpu: Gpu | None = None) -> None:
        self._gpu, self._seen = gpu, dict[str, _Seen]()

    @contextmanager
    def over(self, kind: str) -> Iterator[None]:
        """Look while calls of the kind are made."""
        before = (cpu_state.read(), self._gpu_state())
        load, started = OtherLoad(), time.monotonic()
        yield
        wall, used = time.monotonic() - started, load.used()
        seen = self._seen.setdefault(kind, _Seen())
        seen.wall += wall
        if used is not None:
            seen.others, seen.available = seen.others + used[0], seen.available + used[1]
        _note_cpu(seen, before[0], cpu_state.read())
        if before[1] is not None and (after := self._gpu_state()) is not None:
            _note_gpu(seen, before[1], after)

    def _gpu_state(self) -> GpuState | None:
        return None if self._gpu is None else self._gpu.read()

    def surroundings(self) -> Mapping[str, Surroundings]:
        """By kind of call."""
        return {kind: _told(seen) for kind, seen in self._seen.items()}


def _note_cpu(seen: _Seen, before: CpuState, after: CpuState) -> None:
    if before.throttled_seconds is not None and after.throttled_seconds is not None:
        cause = "the container's share of the CPU"
        seen.slowed[cause] = seen.slowed.get(cause, 0.0) + after.throttled_seconds - before.throttled_seconds
    if before.hot is not None and after.hot is not None and after.hot > before.hot:
        seen.causes.add("heat of the CPU")


def _note_gpu(seen: _Seen, before: GpuState, after: GpuState) -> None:
    for cause, seconds in after.throttled_seconds.items():
        name = f"{cause} of the GPU"
        seen.slowed[name] = seen.slowed.get(name, 0.0) + seconds - before.throttled_seconds.get(cause, seconds)
    seen.causes |= {f"{cause} of the GPU" for cause in after.slowed_by or () if cause not in _OF_LOAD}
    told = [n for n in (seen.gpu_processes, before.other_processes, after.other_processes) if n is not None]
    seen.gpu_processes = max(told, default=None)


def _told(seen: _Seen) -> Surroundings:
    telling = seen.available >= TELLING_SECONDS * (os.cpu_count() or 1)
    other_cpu = min(1.0, max(0.0, seen.others / seen.available)) if telling else None
    longer = {cause for cause, seconds in seen.slowed.items() if seconds > SLOWED * seen.wall}
    return Surroundings(other_cpu, seen.gpu_processes, tuple(sorted(seen.causes | longer)))
