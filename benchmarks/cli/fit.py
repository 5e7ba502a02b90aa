"""Train the contestants of a run, and nothing else.

For machines that train but do not score. Killed or interrupted, the same command goes on where it stopped. On several
GPUs launch it with torchrun or accelerate: processes share each batch, and leave what one would (docs/devices.md).

examples:
  python -m benchmarks fit --task detox --system cosmos --device cuda
  torchrun --nproc_per_node 2 -m benchmarks fit --task detox --system cosmos
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
    return execute(arguments, ("fit",))
