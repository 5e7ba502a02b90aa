"""What an interrupt does, from the first line of a program to its last: one sentence, and 130 or 143 (SIGTERM).

While a command is at work an interrupt is an exception, so that what it holds is let go. Before and after, and where an
earlier one was not heeded, it ends the process at once: files are whole or not there whenever that happens. Imported
before all else, so it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = "Interrupted; the same command goes on where this one stopped."
CAUGHT: list[int] = []  # signals that asked this process to end: libraries turn the exception into others
_AT_WORK: list[None] = []  # holds one None while an interrupt is to be an exception


def listen() -> None:
    """Answer SIGTERM as SIGINT is answered; where a signal is ignored, as under nohup, it stays so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _answer)
    usual = sys.unraisablehook

    def unheeded(unraisable: Any) -> None:  # raised where nobody can be told, as while an object is deleted
        if CAUGHT and unraisable.exc_type is KeyboardInterrupt:
            _end()
        usual(unraisable)

    sys.unraisablehook = unheeded


def begin_work() -> None:
    """From now on an interrupt is a `KeyboardInterrupt`."""
    _AT_WORK[:] = [None]


def end_work() -> None:
    """From now on an interrupt ends the process at once."""
    _AT_WORK.clear()


def _answer(number: int, frame: FrameType | None) -> None:
    CAUGHT.append(number)
    if not _AT_WORK:
        _end()
    _AT_WORK.clear()
    raise KeyboardInterrupt


def _end() -> NoReturn:
    try:
        if os.environ.get("RANK", "0") == "0":  # of several that were launched together, one says it
            os.write(2, f"{INTERRUPTED}\n".encode())  # not through Python's stream, in which it may have interrupted
    finally:
        os._exit(128 + CAUGHT[0])
