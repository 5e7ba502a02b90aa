"""Runs a command of the harness again and again, killed (SIGKILL) each time at another moment, and at last to its end.

    python killed_program.py MOMENTS WORD ...

A moment is `write:N`, `fsync:N` or `replace:N`: the N-th such call of the operating system, of which a write has been
done by half. The clock goes on a millisecond whenever it is looked at, so that what is called does not depend on time.
After each attempt a line says how it ended, and how many texts each cell has then.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.cli.main import main
from benchmarks.records import store  # imported once, before processes part
from benchmarks.timing.clock import Clock


def arm(moment: str) -> None:
    """Make this process kill itself at a moment."""
    name, number = moment.split(":")
    real, calls = getattr(os, name), itertools.count(1)

    def deadly(*words: Any, **options: Any) -> Any:
        if next(calls) == int(number):
            if name == "write":
                real(words[0], bytes(words[1])[: len(words[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **options)

    setattr(os, name, deadly)


def attempt(words: list[str], moment: str | None) -> None:
    child = os.fork()
    if child == 0:
        if moment is not None:
            arm(moment)
        os._exit(main(words))
    _, status = os.waitpid(child, 0)
    ended = f"killed at {moment}" if os.WIFSIGNALED(status) else f"exit code {os.waitstatus_to_exitcode(status)}"
    cells = Path(words[words.index("--out") + 1]).glob("cells/*/header.json")
    print(ended, [len(store.read_cell(cell.parent).samples) for cell in cells], flush=True)  # always readable


if __name__ == "__main__":
    ticks = itertools.count()
    Clock.now = lambda self: next(ticks) * 1e-3  # type: ignore[method-assign]
    moments, *command = sys.argv[1:]
    for at in filter(None, moments.split(",")):
        attempt(command, at)
    attempt(command, None)
