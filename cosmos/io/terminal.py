"""What a command says, to whom, and how it ends: the one road from an error to a sentence and an exit code.

Exit codes: 0 all went well; 1 a part failed; 2 the user can mend it, one sentence on stderr says how; 130 or 143
interrupted by SIGINT or SIGTERM. A fault of ours is a traceback, and exit code 1 unless that means something else to a
command. Of several processes that were launched together one says it. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from cosmos.io import launched
from cosmos.io.errors import UserError
from cosmos.io.interrupts import CAUGHT as _CAUGHT
from cosmos.io.interrupts import INTERRUPTED, begin_work, end_work

_MOST_SHOWN = 2000  # characters of a sentence: the value somebody gave may be longer than a screen
_UNSEEN = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Text without control characters, by which a terminal or a page could be steered; line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else " " if c.isspace() else _UNSEEN for c in text)


def say(text: str = "") -> None:
    """Print to stdout what may hold anybody's text."""
    print(printable(text))


def tell(sentence: str) -> None:
    """One line on stderr, if anybody can still read it: to be unable to say how far a work is ends no work."""
    with suppress(OSError, ValueError):  # full, gone or closed
        print(printable(sentence), file=sys.stderr, flush=True)


def json_line(row: Mapping[str, Any], encoding: str = "utf-8") -> str:
    """A JSON line in which nothing can steer a terminal, readable where the encoding allows it."""
    if encoding.lower().replace("-", "").replace("_", "") != "utf8":
        return json.dumps(row)
    line = json.dumps(row, ensure_ascii=False)
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def answer(command: Callable[[], int], fault: int | None = None) -> int:
    """Run a command and return its exit code, with one sentence on stderr where the user can mend what went wrong.

    Args:
        fault: the exit code of a fault of ours, whose traceback is printed; None lets it pass.
    """
    launched.end_when_asked(INTERRUPTED)
    try:
        return launched.end(_answer(command, fault))
    except KeyboardInterrupt:  # while something else was being said
        return launched.end(_interrupted())


def _answer(command: Callable[[], int], fault: int | None) -> int:
    try:
        begin_work()
        _write_anything(sys.stdout)
        _write_anything(sys.stderr)
        code = command()
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where what it meets can still be said
        if _CAUGHT:  # and a library has not let the exception through
            return _interrupted()
        return code
    except BaseException as error:
        if isinstance(error, OSError):
            _drop_output()
        if isinstance(error, KeyboardInterrupt) or _CAUGHT:
            return _interrupted()
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone, as `head` does
            return 1
        sentence = _sentence(error)
        if sentence is None:
            passed = fault is None and launched.launch() is None
            if passed or not isinstance(error, Exception):
                raise
            if launched.first_to_say():
                tell(traceback.format_exc().rstrip())
            return fault or 1
        line = " ".join(sentence.split())
        if launched.first_to_say():
            tell(line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}...")
        return 2
    finally:
        end_work()


def _interrupted() -> int:
    if launched.first_to_say():
        tell(INTERRUPTED)
    return 128 + (_CAUGHT or [signal.SIGINT])[0]


def _sentence(error: BaseException) -> str | None:
    """What a user is told of an error; None if it is a fault of ours."""
    if isinstance(error, UserError):
        return str(error)
    if launched.lost_another(error):
        return launched.LOST
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, RecursionError):
        return "Something that was given is nested too deeply; write it flatter."
    if isinstance(error, UnicodeError):
        return f"A text cannot be read or written ({error}); write it as UTF-8."
    if isinstance(error, MemoryError):
        return "There is not enough memory; ask for less at once, or take a larger machine."
    return None


def _of_system(error: OSError) -> str:
    """What the operating system refused, and where it says so."""
    files = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    what = f"read or write {files}" if files else "write the output"
    return f"Cannot {what} ({error.strerror or error}); what was finished before is kept."


def _write_anything(stream: TextIO | None) -> None:
    """A character that the stream's encoding lacks is written as its number, and ends nothing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still to be written is dropped, so that the interpreter does not try it again at its end."""
    with suppress(OSError, ValueError, AttributeError):  # a stream that is no file, or is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
