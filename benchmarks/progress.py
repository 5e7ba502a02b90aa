"""What a long command says on stderr: a bar on a terminal, one line per interval in logs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from cosmos.io.terminal import tell

INTERVAL_SECONDS = 5.0  # the longest silence at first
_SLOWING = 0.02  # of what a stage took so far: lines of an hour's work come a minute apart
_TICK_SECONDS = 0.2  # a terminal is redrawn no more often, so that telling costs nothing beside training


class ProgressReporter(Protocol):
    """Who tells the user what goes on."""

    def say(self, text: str) -> None:
        """One line that stays."""
        ...

    def progress(self, stage: str, share: float, loss: float | None) -> None:
        """How far a stage is, 0 where that cannot be known before it ends; called often."""
        ...


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None: ...

    def progress(self, stage: str, share: float, loss: float | None) -> None: ...


class ConsoleReporter:
    """Says what goes on. In a log a line comes where nothing was said for an interval, whatever the stage."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._started = self._told = time.monotonic()
        self._lock = threading.RLock()

    def say(self, text: str) -> None:
        """One line that stays."""
        with self._lock:
            self._end()
            self._told = time.monotonic()
            tell(text)

    def progress(self, stage: str, share: float, loss: float | None) -> None:
        """How far a stage is, its loss, and the time left if it goes on as it did."""
        with self._lock:
            now = time.monotonic()
            if stage != self._stage:
                self._begin(stage, now)
            if self._bar is not None:
                self._draw(now, share, loss)
            elif now - self._told >= max(INTERVAL_SECONDS, _SLOWING * (now - self._started)) and share < 1.0:
                self._told = now
                tell(_line(stage, now - self._started, share, loss))
            if share >= 1.0:
                self._end()

    def _begin(self, stage: str, now: float) -> None:
        self._end()
        self._stage, self._started = stage, now
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed} done, {remaining} left{postfix}"
            self._told = now
            self._bar = tqdm(total=1.0, desc=stage, leave=False, bar_format=layout, file=sys.stderr)

    def _draw(self, now: float, share: float, loss: float | None) -> None:
        if now - self._told >= _TICK_SECONDS or share >= 1.0:
            self._told = now
            self._bar.n = min(share, 1.0)
            self._bar.set_postfix_str("" if loss is None else f"loss {loss:.4f}", refresh=False)
            self._bar.refresh()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._stage = ""


def _line(stage: str, seconds: float, share: float, loss: float | None) -> str:
    said = "" if loss is None else f", loss {loss:.4f}"
    if share <= 0:
        return f"{stage}: {seconds:.0f} s so far{said}"
    return f"{stage}: {share:.0%}{said}, {seconds * (1 - share) / share:.0f} s left"


class Heartbeat:
    """Tells a reporter again, from a thread of its own, how far a work is that does not come to tell it itself.

    Never beside anything that is timed, which it would disturb.
    """

    def __init__(self, voice: ProgressReporter) -> None:
        self._voice = voice
        self._at: tuple[str, float] | None = None
        self._lock = threading.Lock()

    def at(self, stage: str, share: float = 0.0) -> None:
        """Where the work is."""
        with self._lock:
            self._at = (stage, share)
            self._voice.progress(stage, share, None)

    def again(self) -> None:
        """Say again where it is."""
        with self._lock:
            if self._at is not None:
                self._voice.progress(*self._at, None)


@contextmanager
def beating(voice: ProgressReporter, stage: str) -> Iterator[Heartbeat]:
    """A stage whose reporter hears of it every `INTERVAL_SECONDS`, and at last that it is done."""
    beat, over = Heartbeat(voice), threading.Event()

    def go() -> None:
        while not over.wait(INTERVAL_SECONDS):
            beat.again()

    thread = threading.Thread(target=go, name="progress", daemon=True)
    beat.at(stage)
    thread.start()
    try:
        yield beat
    finally:
        over.set()
        thread.join()
        voice.progress(stage, 1.0, None)
