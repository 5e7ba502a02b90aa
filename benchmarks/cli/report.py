"""Write the report of a run again, from its records, or a table of it for a paper.

Tables for papers are LaTeX (booktabs) in `report/tables.tex`: layout `paper` fits the text of any article, `column` one
column of two, `wide` both. With --table, --columns, --rows, --digits or --caption one table is written into a file of
its own, and as CSV, with the numbers of the report.

With --size the report's figures are made for a column or a page of a paper or for a slide, each as SVG, PDF and PNG;
placed unscaled, their type is 7 to 9 points.

examples:
  python -m benchmarks report --out runs/detox-world-nano
  python -m benchmarks report --out runs/detox-world-nano --layout column --label-prefix detox --size column
  python -m benchmarks report --out runs/story --table story --layout column
  python -m benchmarks report --out runs/detox --columns bleu,latency,calls --rows cosmos,gpt2/greedy --digits bleu=2
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "task", "source", "preset", "out")
    parser.set_help("task", "of the run, which finds its folder where --out does not say it")
    parser.set_help("source", "of the run, likewise (default: the task's first)")
    parser.set_help("preset", "of the run, likewise (default: nano)")
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
    parser.add_argument("--size", metavar="NAME", help="of figures: column, page or slide (default: page, without PNG)")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks import api
    from benchmarks.cli.run import say_report
    from benchmarks.planning.plan import default_folder

    say_report(
        api.report(
            default_folder(choices_of(arguments)),
            layout=arguments.layout,
            label_prefix=arguments.label_prefix,
            size=arguments.size,
            table=arguments.table,
            columns=arguments.columns,
            rows=arguments.rows,
            digits=arguments.digits,
            caption=arguments.caption,
        )
    )
    return 0
