"""Finds the verb, and imports nothing else."""

from __future__ import annotations

import sys

from cosmos.cli.main import main

sys.exit(main(sys.argv[1:]))
