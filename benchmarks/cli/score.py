"""Score the texts of a run again, without any model.

Needs only the run's folder: texts and documents are in it. All scores are computed anew, or those of some metrics.

examples:
  python -m benchmarks score --task detox
  python -m benchmarks score --out runs/detox-world-nano --metric bleu,rouge_l
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.cli.flags import Parser, add_flags, choices_of


def add_arguments(parser: Parser) -> None:
    add_flags(parser, "task", "source", "preset", "out")
    parser.add_argument(
        "--metric", metavar="NAME", action="append", help="only this metric; repeatable, or with commas"
    )


def main(arguments: argparse.Namespace) -> int:
    from benchmarks import scoring, store
    from benchmarks.cli.run import show_report
    from benchmarks.files import locked
    from benchmarks.outcome import is_generated, label
    from benchmarks.plan import default_folder

    folder = default_folder(choices_of(arguments))
    plan = store.read_plan(folder)
    if plan is None:
        store.read_run(folder)  # says that there is none
    assert plan is not None
    order = tuple(plan["task"]["metrics"])
    wanted = _metrics(arguments.metric) or order
    with locked(folder):
        for record in store.read_run(folder):
            cell = record.header.cell
            if not is_generated(store.cell_folder(folder, cell.id)):
                print(f"{label(cell)}: not scored, its texts are not all there", file=sys.stderr, flush=True)
                continue
            scoring.score(folder, store.cell_folder(folder, cell.id), record.header, wanted, order)
            print(f"{label(cell)}: scored", file=sys.stderr, flush=True)
    show_report(folder)
    return 0


def _metrics(given: list[str] | None) -> tuple[str, ...]:
    """The metrics named, each checked."""
    from baselines.contract import unknown
    from benchmarks import metrics

    names = tuple(name.strip() for part in given or () for name in part.split(",") if name.strip())
    for name in names:
        if name not in metrics.names():
            raise unknown("metric", name, metrics.names())
    return names
