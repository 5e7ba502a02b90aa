"""Where the time of a generation lies on a GPU: before its first kernel, in kernels, between them, and after the last.

A profiler that looks at the host as well makes everything take longer, so what it says are parts, and no speeds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing.clock import Clock
from cosmos.io.typed_json import AnyText

MARK = "one generation"  # what the profiler calls it
ON_DEVICE = ("kernel", "gpu_memset", "gpu_memcpy")  # categories of a trace
MOST_GAPS = 5  # that are told


@dataclass(frozen=True)
class Gap:
    """Seconds in which the device did nothing, between what ended before them and what began after."""

    seconds: float
    after: AnyText
    before: AnyText


@dataclass(frozen=True)
class TimeLine:
    """Parts of one generation, in seconds; but for what runs at once they make up the whole.

    Attributes:
        kernels: how many ran, copies and fillings of memory among them.
        first: until the first of them began. busy: in which at least one ran. between: in which none did, from the
            first to the last. last: from the end of the last until the texts were there.
        gaps: the longest of `between`.
    """

    kernels: int
    first: float
    busy: float
    between: float
    last: float
    gaps: tuple[Gap, ...]

    def told(self) -> str:
        parts = ("until the first", self.first), ("in kernels", self.busy), ("between", self.between)
        said = ", ".join(f"{1e3 * seconds:.3f} ms {what}" for what, seconds in (*parts, ("after the last", self.last)))
        return f"{said} ({self.kernels} kernels)"


def of_call(call: Callable[[], object], device: str) -> TimeLine | None:
    """That of one call of a function that has been called before; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    from torch.profiler import ProfilerActivity, profile, record_function

    clock = Clock(device)
    clock.now()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        with record_function(MARK):
            call()
        clock.now()
    with tempfile.TemporaryDirectory(prefix="trace-") as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        return of_trace(json.loads(path.read_text(encoding="utf-8"))["traceEvents"])


def of_trace(events: Iterable[Mapping[str, Any]]) -> TimeLine | None:
    """That of the marked time in a trace, whose events have microseconds; None where no kernel ran in it."""
    spans = [event for event in events if event.get("ph") == "X"]
    (marked,) = (e for e in spans if e["name"] == MARK and e.get("cat") == "user_annotation")
    begin, end = marked["ts"], marked["ts"] + marked["dur"]
    inside = (e for e in spans if e.get("cat") in ON_DEVICE and begin <= e["ts"] <= end)
    ran = sorted(inside, key=lambda event: event["ts"])
    if not ran:
        return None
    gaps, busy, reached, before = list[Gap](), 0.0, ran[0]["ts"], ""
    for event in ran:
        start, stop = event["ts"], event["ts"] + event["dur"]
        if start > reached:
            gaps.append(Gap((start - reached) / 1e6, before, event["name"]))
        busy += max(0.0, stop - max(start, reached))
        if stop >= reached:
            reached, before = stop, event["name"]
    longest = sorted(gaps, key=lambda gap: -gap.seconds)[:MOST_GAPS]
    return TimeLine(
        kernels=len(ran),
        first=(ran[0]["ts"] - begin) / 1e6,
        busy=busy / 1e6,
        between=sum(gap.seconds for gap in gaps),
        last=max(0.0, end - reached) / 1e6,
        gaps=tuple(longest),
    )
