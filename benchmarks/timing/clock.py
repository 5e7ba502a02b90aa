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


@dataclass(frozen=True)
class Started:
    """What the clocks said when a call began."""

    wall: float
    cpu: float
    event: Any = None


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
        """Begin to measure; the wall is read last."""
        cpu = self.cpu()
        wall = self.now()
        return Started(wall, cpu, self._event())

    def stop(self, started: Started) -> CallDurations:
        """End it; the wall is read when the device has finished, and first."""
        event = self._event()
        seconds = self.now() - started.wall
        device = None if event is None else started.event.elapsed_time(event) / 1e3
        return CallDurations(seconds, device, max(0.0, self.cpu() - started.cpu))

    def _event(self) -> Any:
        """An event that the device passes when it has done what it was given so far."""
        if self._device is None:
            return None
        import torch

        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def busy_outside(self, settle: float = 0.02, window: float = 0.005) -> float:
        """How many cores this process keeps busy while nothing is asked of it.

        Threads of a library that wait for more work by spinning are given a moment to fall asleep.
        """
        time.sleep(settle)
        cpu, wall = self.cpu(), time.perf_counter()
        time.sleep(window)
        return max(0.0, self.cpu() - cpu) / max(window, time.perf_counter() - wall)
