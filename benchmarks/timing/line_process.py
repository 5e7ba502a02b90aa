"""A process of its own that is told a line of JSON at a time and answers with one, so that it can be timed in turns."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from baselines.contract import UserError
from benchmarks.records.schema import Json

_SHOWN = 300  # characters of what went wrong


class LineProcess:
    """A process that waits to be told something."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[bytes], failed: str) -> None:
        self._process, self._errors, self._failed = process, errors, failed

    def tell(self, row: Mapping[str, Any]) -> None:
        """Send a line, and wait for nothing."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # what it said before it ended is told when it should answer
            self._process.stdin.write(json.dumps(row) + "\n")
            self._process.stdin.flush()

    def answer(self) -> Json:
        """Wait for a line.

        Raises:
            UserError: the process has ended; the message says why.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
            why = lines[-1][:_SHOWN] if lines else f"it ended with exit code {self._process.wait()}"
            raise UserError(f"{self._failed} ({why}).")
        found: Json = json.loads(line)
        return found

    def ask(self, row: Mapping[str, Any]) -> Json:
        """Send a line and wait for the answer."""
        self.tell(row)
        return self.answer()


@contextmanager
def started(
    command: Sequence[str], failed: str, *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[LineProcess]:
    """A process that ends with the block.

    Args:
        failed: what is said where it ends before it answers, without the reason and a full stop.
        environment, folder: in which it runs; those of this process if None.
    """
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=environment, cwd=folder,
        ) as process,
    ):  # fmt: skip
        try:
            yield LineProcess(process, errors, failed)
        finally:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.kill()
