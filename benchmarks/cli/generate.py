"""Generate and time the texts of a run whose contestants are trained.

Takes the same flags as the command that trained them. No metric is computed here: `score` does that, on any machine.

example:
  python -m benchmarks generate --task detox --system cosmos --device cuda
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser, add_cell, add_fresh, add_run_flags, add_track
from benchmarks.cli.run import execute


def add_arguments(parser: BenchmarksParser) -> None:
    add_run_flags(parser)
    add_cell(parser)
    add_fresh(parser)
    add_track(parser)


def main(arguments: argparse.Namespace) -> int:
    return execute(arguments, ("generate",))
