"""Calls that stood still: a sleeping laptop, a throttled container, a machine that moved.

Their excess on the wall is not explained by work of the process, so it is the machine's and not the system's. A system
that is slow by its own work is never taken for one: that counts, and its spread is judged. Waiting for a GPU is work
here, for torch waits by spinning; the time between events on the device tells nothing, as a pause of the CPU between
them makes it longer too.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.records.schema import TimingRecord
from benchmarks.timing.protocol import per_network_call

SLOWER = 1.5  # times the median of its like
LEAST_SECONDS = 0.02  # beyond the median: less is the noise of a scheduler
UNEXPLAINED = 0.5  # share of the excess that no work of this process explains
FEWEST = 3  # calls of a kind, below which none can be told from the others


def stalled(timings: Sequence[TimingRecord]) -> list[tuple[TimingRecord, str]]:
    """Those of calls of one kind and number of texts that stood still, and how it is known."""
    if len(timings) < FEWEST:
        return []
    wall = statistics.median([per_network_call(timing.seconds, timing.calls) for timing in timings])
    slow = SLOWER * wall
    slower = [timing for timing in timings if per_network_call(timing.seconds, timing.calls) > slow]
    worked = [timing for timing in timings if timing.cpu_seconds is not None] if slower else []
    cpu = statistics.median([per_network_call(t.cpu_seconds or 0.0, t.calls) for t in worked]) if worked else 0.0
    found = []
    for timing in slower if worked else ():
        if timing.cpu_seconds is None:
            continue
        units = timing.seconds / per_network_call(timing.seconds, timing.calls)
        beyond = timing.seconds - wall * units
        more_work = max(0.0, timing.cpu_seconds - cpu * units)
        if beyond > LEAST_SECONDS and beyond - more_work > UNEXPLAINED * beyond:
            usual = f"its like take {_shown(wall * units)}"
            found.append((timing, f"{_shown(timing.seconds)}, {_shown(timing.cpu_seconds)} of it work; {usual}"))
    return found


def _shown(seconds: float) -> str:
    return f"{seconds:.3g} s"
