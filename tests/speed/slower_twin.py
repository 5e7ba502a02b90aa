"""A side that takes so many times as long as the other: `python slower_twin.py 1.05`."""

from __future__ import annotations

import sys
import time

from baselines.contract import Request
from benchmarks.speed.twin_process import Generate, serve


def slowed(generate: Generate, ratio: float) -> Generate:
    def again(requests: list[Request]) -> object:
        started = time.perf_counter()
        made = generate(requests)
        until = started + ratio * (time.perf_counter() - started)
        while time.perf_counter() < until:
            pass
        return made

    return again


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout, lambda generate: slowed(generate, float(sys.argv[1])))
