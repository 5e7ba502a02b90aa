"""Finds the verb, and imports nothing else. From its first line on an interrupt gives one sentence.

The console script `cosmos-bench` calls `command`; `python -m benchmarks` is the same."""

try:
    from cosmos.io import interrupts

    interrupts.listen()
except KeyboardInterrupt:  # it could not be answered yet
    import os

    os.write(2, b"Interrupted; the same command goes on where this one stopped.\n")
    os._exit(130)

import sys

from benchmarks.cli.main import main


def command() -> int:
    """Run the command that the words of this process say, and return its exit code."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(command())
