"""Finds the verb, and imports nothing else."""

from __future__ import annotations

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until it can be answered, an interrupt ends the process silently

from cosmos.io.terminal import answer, listen


def _run() -> int:
    from cosmos.cli.main import main

    return main(sys.argv[1:])


listen()
sys.exit(answer(_run))
