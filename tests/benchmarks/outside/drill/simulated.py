"""A clock that no load of the machine moves: it goes on by what is spent, as processes differ and calls do.

Each process that spends anything has a number, counted in a folder, from which its noise follows: half a per cent by
which all of its calls are slower or faster, and one per cent from call to call. So a drill that starts its processes in
the same order sees the same times on every machine.
"""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

_now = 0.0
_draw: random.Random | None = None
_factor = 1.0


def spend(seconds: float) -> None:
    """Let so much time pass, but for the noise of this process."""
    global _now, _draw, _factor
    if _draw is None:
        _draw = random.Random(_number())
        _factor = 1 + _draw.gauss(0, 0.005)
    _now += seconds * _factor * max(0.5, 1 + _draw.gauss(0, 0.01))


def now() -> float:
    """Seconds since the process began."""
    return _now


def _number() -> int:
    """How many processes have spent time before this one."""
    folder = Path(os.environ["DRILL_PROCESSES"])
    for number in itertools.count():
        try:
            (folder / str(number)).touch(exist_ok=False)
            return number
        except FileExistsError:
            continue
    raise AssertionError
