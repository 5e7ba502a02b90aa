"""An interrupt ends a program with one sentence, whenever it comes after the program's first line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos.io import interrupts, terminal

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("interrupted_program.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT)


@pytest.mark.parametrize(
    ("program", "words", "name", "code"),
    [
        ("benchmarks", ["list", "tasks"], "SIGINT", 130),
        ("benchmarks", ["--help"], "SIGTERM", 143),
        ("cosmos", ["--help"], "SIGINT", 130),
        ("cosmos", ["sample", "--help"], "SIGTERM", 143),
    ],
)
def test_an_interrupt_at_any_import_gives_one_sentence(program: str, words: list[str], name: str, code: int) -> None:
    done = python(str(PROGRAM), program, name, "14", *words)
    assert done.returncode == 0, done.stderr
    (never, *undisturbed), *interrupted = json.loads(done.stdout)
    assert (never, undisturbed) == ("never", [0, ""])
    assert len(interrupted) >= 15
    for moment, *ended in interrupted:
        # SIGTERM cannot be answered before the handler is there: it ends the process as it ends any.
        early = name == "SIGTERM" and isinstance(moment, int) and ended[0] == -signal.SIGTERM
        assert ended == [code, f"{terminal.INTERRUPTED}\n"] or (early and moment <= EARLY), moment


EARLY = 40  # imports before the handler is there: of `signal`, and what `cosmos` and that need


SWALLOWED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from cosmos.io import interrupts, terminal
interrupts.listen()

class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(9):
            pass

def deleting():
    Deleted()
    print("went on")
    return 0

def catching():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        pass
    print("went on")
    return 0

def twice():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        os.kill(os.getpid(), signal.SIGINT)
    print("went on")
    return 0

def failing():
    os.kill(os.getpid(), signal.SIGTERM)
    return 0

sys.exit(terminal.answer(globals()[sys.argv[1]]))
"""


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [("deleting", 130, ""), ("catching", 130, "went on\n"), ("twice", 130, ""), ("failing", 143, "")],
)
def test_an_interrupt_that_a_library_keeps_to_itself_is_answered(command: str, code: int, said: str) -> None:
    done = python("-c", SWALLOWED, command)
    assert (done.returncode, done.stdout, done.stderr) == (code, said, f"{interrupts.INTERRUPTED}\n")


def test_what_is_ignored_stays_so() -> None:
    """As of what runs under nohup, or in a shell's background."""
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    done = python(
        "-c", ignored + SWALLOWED.replace("signal.signal(signal.SIGINT, signal.default_int_handler)", ""), "catching"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_both_programs_say_before_any_import_what_they_say_after() -> None:
    for program in ("benchmarks", "cosmos"):
        assert f'b"{terminal.INTERRUPTED}\\n"' in (ROOT / program / "__main__.py").read_text()
