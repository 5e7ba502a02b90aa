"""What else a machine does while calls are timed: other processes, and what slows it.

It is kept with each call, so that what is told of a quantity is of the calls that it rests on, whichever process made
them and whenever.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.records.schema import TimingRecord
from benchmarks.timing import cpu_state
from benchmarks.timing.cpu_state import CpuState
from benchmarks.timing.gpu_state import Gpu, GpuState
from benchmarks.timing.probes import OtherLoad
from benchmarks.timing.protocol import Call

TELLING_SECONDS = 0.25  # of a shorter time the system's count of busy cores, in hundredths of a second, says too little
TICK_SECONDS = 0.005  # by which that count is off, of each core and call
TELLING = 25  # times as long as what the count is off in all, at least: then it is known to 4 %
GPU_SECONDS = 0.25  # a GPU is not asked anew within so long, as that takes milliseconds
SLOWED = 0.05  # of the time, below which being slowed is no matter
_OF_LOAD = ("power cap", "sync boost")  # what a GPU at work may meet for a moment; how long is counted besides


@dataclass(frozen=True)
class Surroundings:
    """What else went on while a quantity was timed; None where the machine does not tell.

    Attributes:
        other_cpu: share of all cores that other processes used.
        other_gpu_processes: how many other processes had work on the GPU.
        slowed_by: what slowed the machine, in words.
        everywhere: whether what others used is known of every process that timed.
    """

    other_cpu: float | None = None
    other_gpu_processes: int | None = None
    slowed_by: tuple[str, ...] = ()
    everywhere: bool = True


class Watch:
    """Looks at the machine before and after a call, never meanwhile.

    Attributes:
        busy_cores: of this process while nothing was asked of the system, as was seen last; None where nobody looked.
    """

    def __init__(self, gpu: Gpu | None = None) -> None:
        self._gpu, self._last, self._read_at = gpu, GpuState(), -math.inf
        self.busy_cores: float | None = None

    def over(self, make: Callable[[], Call]) -> Call:
        """Look while a call is made; what was seen stands in it."""
        before, gpu_before = cpu_state.read(), self._gpu_state()
        load, started = OtherLoad(), time.monotonic()
        call = make()
        watched, used = time.monotonic() - started, load.used()
        after, gpu_after = cpu_state.read(), self._gpu_state()
        seen = {"watched": watched}
        if used is not None:
            seen["others"], seen["available"] = used
        if self.busy_cores is not None:
            seen["busy_cores"] = self.busy_cores
        told = [state.other_processes for state in (gpu_before, gpu_after) if state.other_processes is not None]
        if told:
            seen["gpu_processes"] = float(max(told))
        slowed = {**_cpu_slowed(before, after, watched), **_gpu_slowed(gpu_before, gpu_after, watched)}
        return replace(call, beside=seen, slowed={cause: seconds for cause, seconds in slowed.items() if seconds > 0})

    def _gpu_state(self) -> GpuState:
        """Of now, or of just before."""
        if self._gpu is not None and time.monotonic() - self._read_at >= GPU_SECONDS:
            self._last, self._read_at = self._gpu.read(), time.monotonic()
        return self._last


def _cpu_slowed(before: CpuState, after: CpuState, watched: float) -> dict[str, float]:
    """Seconds by cause."""
    slowed = {}
    if before.throttled_seconds is not None and after.throttled_seconds is not None:
        slowed["the container's share of the CPU"] = after.throttled_seconds - before.throttled_seconds
    if before.hot is not None and after.hot is not None and after.hot > before.hot:
        slowed["heat of the CPU"] = watched  # for how long is not told
    return slowed


def _gpu_slowed(before: GpuState, after: GpuState, watched: float) -> dict[str, float]:
    slowed = {
        f"{cause} of the GPU": seconds - before.throttled_seconds.get(cause, seconds)
        for cause, seconds in after.throttled_seconds.items()
    }
    return slowed | {f"{cause} of the GPU": watched for cause in after.slowed_by or () if cause not in _OF_LOAD}


def around(calls: Sequence[TimingRecord], timings: Sequence[TimingRecord]) -> Surroundings:
    """What was seen around the calls that a quantity rests on: of the process where it was worst.

    Where these are too short to tell what others used, it is told of all calls that the process timed.

    Args:
        timings: of all calls.
    """
    found = [_of_process(calls, timings, process) for process in sorted({timing.process for timing in calls})]
    others = [each.other_cpu for each in found if each.other_cpu is not None]
    on_gpu = [each.other_gpu_processes for each in found if each.other_gpu_processes is not None]
    slowed = {cause for each in found for cause in each.slowed_by}
    everywhere = bool(found) and len(others) == len(found)
    return Surroundings(max(others, default=None), max(on_gpu, default=None), tuple(sorted(slowed)), everywhere)


def _of_process(calls: Sequence[TimingRecord], timings: Sequence[TimingRecord], process: int) -> Surroundings:
    own = [timing for timing in calls if timing.process == process]
    every = [t for t in timings if t.process == process and t.kind in ("batch", "latency", "sweep")]
    other_cpu = _other_cpu(own)
    processes = [int(timing.beside["gpu_processes"]) for timing in own if "gpu_processes" in timing.beside]
    watched = sum(timing.beside.get("watched", 0.0) for timing in own)
    causes = {cause for timing in own for cause in timing.slowed}
    slowed = [c for c in causes if sum(timing.slowed.get(c, 0.0) for timing in own) > SLOWED * watched]
    return Surroundings(
        _other_cpu(every) if other_cpu is None else other_cpu, max(processes, default=None), tuple(sorted(slowed))
    )


def _other_cpu(timings: Sequence[TimingRecord]) -> float | None:
    """The share of all cores that others used meanwhile; None where it is not known well enough."""
    told = [timing.beside for timing in timings if "available" in timing.beside]
    cores, available = os.cpu_count() or 1, sum(seen["available"] for seen in told)
    if available < max(TELLING_SECONDS * cores, TELLING * TICK_SECONDS * math.sqrt(len(told) * cores)):
        return None
    return min(1.0, max(0.0, sum(seen["others"] for seen in told) / available))


def busy_outside(timings: Sequence[TimingRecord]) -> list[float]:
    """Cores that processes kept busy while nothing was asked of the system, once for each turn of each."""
    told = {(t.process, t.round, t.beside["busy_cores"]) for t in timings if "busy_cores" in t.beside}
    return [cores for _, _, cores in sorted(told)]
