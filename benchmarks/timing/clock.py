"""A clock that waits for the device, with events on the device and the process's own work beside the wall."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CallDurations:
    """What a call took.

    Attributes:
        seconds: on the wall.
        device_seconds: between two events on the device, None where there is no CUDA device.
        cpu_seconds: of this process and of its children that ended, all threads together.
    """

    seconds: float
    device_seconds: float | None = None
    cpu_seconds: float | None = None


class _Events:
    """Two events that the device passes when it has done what it was given before, the first of them now."""

    def __init__(self, device: str) -> None:
        import torch

        self._stream = torch.cuda.current_stream(device)
        self._begin: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._end: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._begin.record(self._stream)

    def end(self) -> None:
        """Ask for the second."""
        self._end.record(self._stream)

    def seconds(self) -> float:
        """From one to the other on the device, which is waited for."""
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) / 1e3


@dataclass(frozen=True)
class Started:
    """What the clocks said when a call began."""

    wall: float
    cpu: float
    events: _Events | None = None


class Clock:
    """Seconds on the wall, read only when the device has finished all work it was given."""

    def __init__(self, device: str) -> None:
        self._device = device if device.startswith("cuda") else None

    def now(self) -> float:
        """Seconds since some fixed moment."""
        if self._device is not None:
            import torch

            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def cpu(self) -> float:
        """CPU seconds that this process has used, all its threads and its children that ended."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    def start(self) -> Started:
        """Begin to measure; the wall is read last, when the device has finished and passed the first event."""
        events = None if self._device is None else _Events(self._device)
        cpu = self.cpu()
        return Started(self.now(), cpu, events)

    def stop(self, started: Started) -> CallDurations:
        """End it; the wall is read when the device has finished, and first: what the clock does besides is no part."""
        seconds = self.now() - started.wall
        if started.events is not None:
            started.events.end()
        cpu = max(0.0, self.cpu() - started.cpu)
        return CallDurations(seconds, None if started.events is None else started.events.seconds(), cpu)

    def busy_outside(self, settle: float = 0.02, window: float = 0.005) -> float:
        """How many cores this process keeps busy while nothing is asked of it.

        Threads of a library that wait for more work by spinning are given a moment to fall asleep.
        """
        time.sleep(settle)
        cpu, wall = self.cpu(), time.perf_counter()
        time.sleep(window)
        return max(0.0, self.cpu() - cpu) / max(window, time.perf_counter() - wall)
