"""Finds the verb, and imports nothing else. From its first line on an interrupt gives one sentence."""

try:
    from cosmos.io import interrupts

    interrupts.listen()
except KeyboardInterrupt:  # it could not be answered yet
    import os

    os.write(2, b"Interrupted; the same command goes on where this one stopped.\n")
    os._exit(130)

import sys

from cosmos.cli.main import main

sys.exit(main(sys.argv[1:]))
