"""What bars of speed are measured against: a fixed piece of Python, timed beside what is measured, in the same process.

A machine that is twice as slow, or shared, is so for both; seconds would say more of the machine than of our code.
"""

from __future__ import annotations

import time
from collections.abc import Callable

ROUNDS = 9


def unit(clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of a thousand additions in a loop, about fifty microseconds: the mean of a hundred times."""
    started, total = clock(), 0
    for number in range(100_000):
        total += number * number % 7
    return (clock() - started) / 100


def units(work: Callable[[], float], clock: Callable[[], float] = time.process_time) -> float:
    """What some work costs in units: the least seconds of several rounds over the least seconds of a unit, in turns.

    Args:
        work: does it once, and returns the seconds by the same clock.
    """
    beside, seconds = [], []
    for _ in range(ROUNDS):
        beside.append(unit(clock))
        seconds.append(work())
    beside.append(unit(clock))
    return min(seconds) / min(beside)
