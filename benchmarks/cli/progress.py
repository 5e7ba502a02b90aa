"""What a long command says on stderr: a bar on a terminal, one line per interval in logs."""

from __future__ import annotations

import sys
import time
from typing import Any

from cosmos.io.terminal import tell

INTERVAL_SECONDS = 10.0
_TICK_SECONDS = 0.2  # a terminal is redrawn no more often, so that telling costs nothing beside training


class ConsoleReporter:
    """Says what goes on. Nothing is printed for a stage that ends within one interval, except on a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""
        self._started = self._told = time.monotonic()

    def say(self, text: str) -> None:
        """One line that stays."""
        self._end()
        tell(text)

    def progress(self, stage: str, share: float, loss: float | None) -> None:
        """How far a stage is, its loss, and the time left if it goes on as it did."""
        now = time.monotonic()
        if stage != self._stage:
            self._end()
            self._stage, self._started, self._told = stage, now, now
            if sys.stderr.isatty():
                from tqdm import tqdm

                layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed} done, {remaining} left{postfix}"
                self._bar = tqdm(total=1.0, desc=stage, leave=False, bar_format=layout, file=sys.stderr)
        if self._bar is not None:
            if now - self._told >= _TICK_SECONDS or share >= 1.0:
                self._told = now
                self._bar.n = min(share, 1.0)
                self._bar.set_postfix_str("" if loss is None else f"loss {loss:.4f}", refresh=False)
                self._bar.refresh()
        elif now - self._told >= INTERVAL_SECONDS and share < 1.0:
            self._told = now
            left = f", {(now - self._started) * (1 - share) / share:.0f} s left" if share > 0 else ""
            said = "" if loss is None else f", loss {loss:.4f}"
            tell(f"{stage}: {share:.0%}{said}{left}")
        if share >= 1.0:
            self._end()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._stage = ""
