"""How long compiling and recording took within what was done before anything was timed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

COMPILE, RECORD = "compile", "record"


@contextmanager
def preparation() -> Iterator[dict[str, float]]:
    """Watch what is compiled by torch, and recorded as CUDA graphs, in the block.

    Yields:
        seconds of each, filled when the block ends; nothing of what did not happen.
    """
    seconds: dict[str, float] = {}
    compiled = _compiled_seconds()
    with _recording(seconds):
        yield seconds
    if (more := _compiled_seconds() - compiled) > 0:
        seconds[COMPILE] = more


def _compiled_seconds() -> float:
    """Seconds that torch has compiled since this process began, as it counts them."""
    utils: Any = sys.modules.get("torch._dynamo.utils")
    if utils is None:
        return 0.0
    return float(sum(utils.compilation_time_metrics.get("_compile.compile_inner", ())))


@contextmanager
def _recording(seconds: dict[str, float]) -> Iterator[None]:
    """Add up the time between the beginning and the end of each recorded graph."""
    torch: Any = sys.modules.get("torch")
    graph = getattr(getattr(torch, "cuda", None), "CUDAGraph", None)
    if graph is None or not torch.cuda.is_available():
        yield
        return
    begin: Callable[..., Any] = graph.capture_begin
    end: Callable[..., Any] = graph.capture_end
    started: list[float] = []

    def capture_begin(self: Any, *given: Any, **named: Any) -> Any:
        started.append(time.perf_counter())
        return begin(self, *given, **named)

    def capture_end(self: Any) -> Any:
        try:
            return end(self)
        finally:
            seconds[RECORD] = seconds.get(RECORD, 0.0) + time.perf_counter() - started.pop()

    graph.capture_begin, graph.capture_end = capture_begin, capture_end
    try:
        yield
    finally:
        graph.capture_begin, graph.capture_end = begin, end
