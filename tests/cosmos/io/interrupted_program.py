"""Runs a program again and again, a signal sent to itself each time at another import, and once without.

    python interrupted_program.py PROGRAM SIGNAL COUNT WORD ...

The first import is the first statement of the program's `__main__`. COUNT moments are spread over all imports, the
first eight among them; one more comes when the program has ended and the interpreter has not. Prints a JSON list of
[moment, exit code, stderr].
"""

from __future__ import annotations

import atexit
import builtins
import json
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

PROGRAM, NAME, COUNT, *WORDS = sys.argv[1:]
NUMBER = getattr(signal, NAME)


def send() -> None:
    os.kill(os.getpid(), NUMBER)


def watch(moment: int | None, counted: Callable[[int], object]) -> None:
    """Send the signal at the import of that number; say how many there were."""
    usual, seen = builtins.__import__, 0

    def importing(name: str, space: Any = None, *rest: Any, **words: Any) -> Any:
        nonlocal seen
        if seen or (space or {}).get("__name__") == "__main__":
            seen += 1
            if seen == moment:
                send()
        return usual(name, space, *rest, **words)

    builtins.__import__ = importing
    atexit.register(lambda: counted(seen))


def attempt(moment: int | None, last: bool = False) -> tuple[int, int, str]:
    """How many imports there were, how it ended, and what it said."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
        child = os.fork()
        if child == 0:
            # What is started in the background has it ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(told.fileno(), 2)
            if last:
                atexit.register(send)
            kept = os.dup(said.fileno())
            watch(moment, lambda count: os.write(kept, str(count).encode()))
            sys.argv = [PROGRAM, *WORDS]
            runpy.run_module(PROGRAM, run_name="__main__")
            raise AssertionError("it exits")
        _, status = os.waitpid(child, 0)
        said.seek(0)
        told.seek(0)
        return int(said.read() or 0), os.waitstatus_to_exitcode(status), told.read().decode()


def main() -> None:
    attempt(None)  # the first run compiles what it imports, which takes imports of its own
    total, code, told = attempt(None)
    results: list[tuple[Any, int, str]] = [("never", code, told)]
    spread = {1 + place * (total - 1) // (int(COUNT) - 1) for place in range(int(COUNT))}
    results += [(moment, *attempt(moment)[1:]) for moment in sorted({*range(1, 9), *spread})]
    results.append(("after", *attempt(None, last=True)[1:]))
    print(json.dumps(results))


main()
