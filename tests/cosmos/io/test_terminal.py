"""How a command ends, and that nothing it prints can steer a terminal."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos.io import terminal
from cosmos.io.errors import UserError, unknown
from cosmos.io.terminal import answer, json_line, printable, say, tell

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("Give  a\nnumber."), "Give a number."),
        (
            PermissionError(errno.EACCES, "Permission denied", "a.json"),
            "Cannot read or write a.json (Permission denied)",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "Cannot write the output (No space left on device)"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"), "write it as UTF-8"),
        (MemoryError(), "not enough memory"),
        (UserError("x" * 100_000), "x..."),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise error

    assert answer(command) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and said in lines[0] and len(lines[0]) < 2100


def test_a_fault_of_ours_is_no_sentence() -> None:
    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answer(command)


def test_a_fault_of_ours_has_the_exit_code_that_a_command_gives_it(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise ZeroDivisionError("by none")

    assert answer(command, fault=2) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback ") and said.endswith("ZeroDivisionError: by none\n")

    def ended() -> int:
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        answer(ended, fault=2)


def test_an_interrupt_is_answered_whatever_a_library_makes_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    def turned() -> int:
        raise ImportError("cannot load")

    assert answer(interrupted) == 130
    monkeypatch.setattr(terminal, "_CAUGHT", [signal.SIGTERM])
    assert answer(turned) == 143
    assert capsys.readouterr().err.splitlines() == [terminal.INTERRUPTED] * 2


NASTY = "red \x1b[31m bell \x07 back\rover \x9b2J \u202eturned\ud800"


def test_nothing_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(NASTY)
    tell(NASTY)
    for stream in capsys.readouterr():
        assert all(character.isprintable() or character == "\n" for character in stream)
    assert printable("two\nlines\tand é 🎉") == "two\nlines\tand é 🎉"
    for encoding in ("utf-8", "UTF8", "ascii", "latin-1"):
        line = json_line({"text": NASTY + " é 🎉"}, encoding)
        assert line.isprintable() and json.loads(line) == {"text": NASTY + " é 🎉"}
        line.encode(encoding)


class Full(io.StringIO):
    tried = 0

    def write(self, text: str) -> int:
        self.tried += 1
        raise OSError(errno.ENOSPC, "No space left on device")


def test_to_be_unable_to_say_how_far_a_work_is_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Full()
    monkeypatch.setattr(sys, "stderr", full)
    tell("halfway")
    assert full.tried > 0
    monkeypatch.setattr(sys, "stderr", None)
    tell("halfway")


def test_a_long_name_is_answered_at_once() -> None:
    sentence = str(unknown("key", "a." * 100_000, ["a" * 50, "data.train"]))
    assert len(sentence) < 400 and "known: " in sentence


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("program", ["benchmarks", "cosmos"])
def test_output_that_cannot_be_written_is_said(program: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", program, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert done.returncode == 2
    assert done.stderr == "Cannot write the output (No space left on device); what was finished before is kept.\n"


def test_an_output_of_another_encoding_takes_every_text() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from cosmos.io.terminal import answer, say\nanswer(lambda: say('é ↑') or 0)"],
        capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\xe9 \\u2191\n", b"")
