"""One of two processes that time the same generation in turns; `twins` is the near end.

It builds a system with random weights, and then answers each line of its input, `{"size": texts, "calls": n}`, with
`{"seconds": s}`, how long so many calls of `generate` took, and once at first with `{"ready": true}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from baselines import registry
from baselines.contract import Limits, Request
from benchmarks.running.seeds import request_seed
from benchmarks.timing.clock import Clock

Generate = Callable[[list[Request]], object]
WARM_UPS = 3
SETTLE_SECONDS = 0.1  # of calls that do not count before each that does: while the other side worked, clocks fell and
# caches were filled by others


def serve(asked: TextIO, answers: TextIO, around: Callable[[Generate], Generate] = lambda generate: generate) -> None:
    """Answer until the input ends.

    Args:
        around: what is timed in place of `generate`, made of it.
    """
    lines: Iterator[dict[str, Any]] = (json.loads(line) for line in asked)
    job = next(lines)
    kind: Any = registry.find(job["system"])
    system = kind(kind.presets[job["preset"]], Limits(0, job["length"]))
    system.untrained(job["vocabulary"], seed=0, device=job["device"], dtype=job["dtype"])
    setting = kind.settings[job["setting"]]
    generate = around(lambda requests: system.generate(requests, setting))
    clock, asked_before = Clock(job["device"]), 0

    def requests(size: int) -> list[Request]:
        nonlocal asked_before
        first, asked_before = asked_before, asked_before + size
        return [Request(str(n), None, request_seed(0, str(n)), job["length"] - 1) for n in range(first, first + size)]

    for size in job["sizes"]:
        for _ in range(WARM_UPS):
            generate(requests(size))
    _answer(answers, {"ready": True})
    for line in lines:
        batches = [requests(line["size"]) for _ in range(line["calls"])]
        settled = clock.now() + SETTLE_SECONDS
        generate(requests(line["size"]))
        while clock.now() < settled:
            generate(requests(line["size"]))
        started = clock.now()
        for batch in batches:
            generate(batch)
        _answer(answers, {"seconds": clock.now() - started})


def _answer(answers: TextIO, row: dict[str, Any]) -> None:
    answers.write(json.dumps(row) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
