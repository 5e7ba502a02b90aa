"""Put runs of several machines together.

The runs must have asked the same: task, data, preset, device and all versions. Systems, settings and seeds may differ.
What else differs is refused, and so are two records of one cell, but for floors that made the same texts. The new run
appears when it is whole, and the runs it is made of stay as they are.

example:
  python -m benchmarks merge runs/machine-1 runs/machine-2 --out runs/both
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.cli.flags import BenchmarksParser


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the folder of a run; two or more")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="the folder of the new run")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.running.merging import merge

    for sentence in merge([Path(run) for run in arguments.runs], Path(arguments.out)):
        print(sentence, file=sys.stderr)
    print(f"run folder: {arguments.out}")
    return 0
