"""Which kernels take the time of what runs between a profiler's start and stop; on a CPU, which operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cosmos.io.typed_json import AnyText

MOST_KERNELS = 15  # that are told


@dataclass(frozen=True)
class KernelTime:
    """What one kernel took of one repeat.

    Attributes:
        calls: how often it ran. seconds: all of these together. share: of the time of all kernels.
    """

    name: AnyText
    calls: float
    seconds: float
    share: float

    def told(self) -> str:
        return f"  {1e3 * self.seconds:8.3f} ms {self.share:6.1%} {self.calls:7.1f} x  {self.name[:90]}"


def profiler_of(on_gpu: bool) -> Any:
    """A profiler that has not begun."""
    from torch.profiler import ProfilerActivity, profile

    return profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU])


def longest_of(profiler: Any, on_gpu: bool, repeats: int, most: int = MOST_KERNELS) -> list[KernelTime]:
    """The kernels of a profiler that has stopped which took longest, the longest first, for one of some repeats."""
    field = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = [(event.key, event.count, getattr(event, field)) for event in profiler.key_averages()]
    events = [event for event in events if event[2] > 0]
    whole = sum(microseconds for *_, microseconds in events)
    longest = sorted(events, key=lambda event: -event[2])[:most]
    return [KernelTime(name, count / repeats, us / 1e6 / repeats, us / whole) for name, count, us in longest]
