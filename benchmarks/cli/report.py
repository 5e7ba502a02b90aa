"""Write the report of a run again, from its records.

With --size its figures are made for a column or a page of a paper or for a slide, each as SVG, PDF and PNG; placed
unscaled, their type is 7 to 9 points.

examples:
  python -m benchmarks report --out runs/detox-world-nano
  python -m benchmarks report --out runs/detox-world-nano --size column
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "task", "source", "preset", "out")
    parser.add_argument("--size", metavar="NAME", help="of figures: column, page or slide (default: page, without PNG)")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.cli.run import show_report
    from benchmarks.planning.plan import default_folder
    from benchmarks.records.store import read_headers

    folder = default_folder(choices_of(arguments))
    read_headers(folder)  # says what is wrong before pandas is loaded
    if arguments.size is not None:
        from reports.pictures import size_named

        size_named(arguments.size)
    show_report(folder, size=arguments.size)
    return 0
