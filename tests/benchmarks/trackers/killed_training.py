"""Runs a command of the harness and kills it (SIGKILL) when its training has written so many lines of its log.

python killed_training.py LINES WORD ...
"""

from __future__ import annotations

import itertools
import os
import signal
import sys

from benchmarks.cli.main import main
from cosmos.training.resume import Log

if __name__ == "__main__":
    last, real, lines = int(sys.argv[1]), Log.write, itertools.count(1)

    def write(self: Log, **line: object) -> None:
        real(self, **line)
        if next(lines) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    Log.write = write  # type: ignore[method-assign]
    sys.exit(main(sys.argv[2:]))
