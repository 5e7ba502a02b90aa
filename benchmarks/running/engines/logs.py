"""The log of a cell: all that the process that makes it says, whoever says it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.records import environment
from benchmarks.records.files import StoreError
from benchmarks.running.engines.parcels import LOGS
from cosmos.io.files import make_folder, saving
from cosmos.io.terminal import tell

_INTERVAL_SECONDS = 10.0


def log_of(run: Path, cell_id: str) -> Path:
    return run / LOGS / f"{cell_id}.log"


@contextmanager
def logged(path: Path, heading: str) -> Iterator[None]:
    """Have what this process writes to stdout and stderr, libraries in other languages included, added to a file."""
    make_folder(path.parent, StoreError)
    with saving(path, StoreError):
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    kept = {number: os.dup(number) for number in (1, 2)}
    streams, file = (sys.stdout, sys.stderr), os.fdopen(os.dup(log), "w", buffering=1, errors="backslashreplace")
    try:
        for stream in streams:
            stream.flush()
        for number in kept:
            os.dup2(log, number)
        sys.stdout = sys.stderr = file
        tell(f"== {heading}, {environment.now()}")
        yield
    finally:
        sys.stdout, sys.stderr = streams
        file.close()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)
        os.close(log)


class LogReporter:
    """Says what goes on into the log, and how far it is to whoever watches, at most so often."""

    def __init__(self, watcher: Callable[[str, float, float | None], None], seconds: float = 1.0) -> None:
        self._watcher, self._seconds = watcher, seconds
        self._stage, self._told, self._logged = "", 0.0, time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        tell(text)

    def progress(self, stage: str, share: float, loss: float | None) -> None:
        """How far a stage is."""
        now = time.monotonic()
        if now - self._told >= self._seconds or stage != self._stage:
            self._watcher(stage, share, loss)
            self._stage, self._told = stage, now
        if now - self._logged >= _INTERVAL_SECONDS:
            tell(f"{stage}: {share:.0%}" + ("" if loss is None else f", loss {loss:.4f}"))
            self._logged = now
