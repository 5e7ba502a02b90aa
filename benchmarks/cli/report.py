"""Write the report of a run again, from its records.

example:
  python -m benchmarks report --out runs/detox-world-nano
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "task", "source", "preset", "out")
    parser.set_help("task", "of the run, which finds its folder where --out does not say it")
    parser.set_help("source", "of the run, likewise (default: the task's first)")
    parser.set_help("preset", "of the run, likewise (default: nano)")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks import api
    from benchmarks.cli.run import say_report
    from benchmarks.planning.plan import default_folder

    say_report(api.report(default_folder(choices_of(arguments))))
    return 0
