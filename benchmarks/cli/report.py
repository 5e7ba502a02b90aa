"""Write the report of a run again, from its records, or a table of it for a paper.

Tables for papers are LaTeX (booktabs) in `report/tables.tex`: layout `paper` fits the text of any article, `column` one
column of two, `wide` both. With --table, --columns, --rows, --digits or --caption one table is written into a file of
its own, and as CSV, with the numbers of the report.

examples:
  python -m benchmarks report --out runs/detox-world-nano
  python -m benchmarks report --out runs/detox-world-nano --layout column --label-prefix detox
  python -m benchmarks report --out runs/story --table story --layout column
  python -m benchmarks report --out runs/detox --columns bleu,latency,calls --rows cosmos,gpt2/greedy --digits bleu=2
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of
from cosmos.io.terminal import say


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "task", "source", "preset", "out")
    parser.add_argument(
        "--layout", metavar="NAME", default="paper", help="of tables for papers: paper, column or wide (default: paper)"
    )
    parser.add_argument(
        "--label-prefix", metavar="NAME", help="what labels of tables begin with (default: one that no other run has)"
    )
    parser.add_argument(
        "--table",
        metavar="NAME",
        default="",
        help="the columns of a paper, beside published values: story, summary, question, detox or time",
    )
    parser.add_argument(
        "--columns",
        metavar="NAME",
        action="append",
        default=[],
        help="columns of the table: metrics, latency, throughput, calls and others, with commas; may be repeated",
    )
    parser.add_argument(
        "--rows",
        metavar="NAME",
        action="append",
        default=[],
        help="rows of the table, in that order: SYSTEM or SYSTEM/SETTING, * for anything, with commas; may be repeated",
    )
    parser.add_argument(
        "--digits", metavar="N", default="", help="decimals of all columns, or COLUMN=N of some, with commas"
    )
    parser.add_argument("--caption", metavar="TEXT", default="", help="of the table")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.planning.plan import default_folder
    from benchmarks.records.store import read_headers
    from reports.latex.layouts import checked_prefix, layout_named
    from reports.paper.choice import TableChoice, parse_digits

    choice = TableChoice(
        arguments.table,
        _listed(arguments.columns),
        _listed(arguments.rows),
        parse_digits(arguments.digits),
        arguments.caption,
    )
    layout_named(arguments.layout)
    checked_prefix(arguments.label_prefix)
    folder = default_folder(choices_of(arguments))
    read_headers(folder)  # says what is wrong before pandas is loaded

    import reports
    from benchmarks.cli.run import show_report

    if not choice:
        show_report(folder, layout=arguments.layout, label_prefix=arguments.label_prefix)
        return 0
    written = reports.write_table(folder, choice, layout=arguments.layout, label_prefix=arguments.label_prefix)
    for kind, path in written.items():
        say(f"{kind}: {path}")
    return 0


def _listed(typed: list[str]) -> tuple[str, ...]:
    return tuple(part.strip() for word in typed for part in word.split(",") if part.strip())
