"""Plan, fit, generate, score and report: everything at once.

Trains or finds every contestant, generates and times its texts, scores exactly those texts, prints a table and writes a
report (Markdown, LaTeX, HTML, figure). Killed or interrupted, the same command goes on where it stopped. The task's
floors and its reference are part of every run.

examples:
  python -m benchmarks run --task detox
  python -m benchmarks run --task detox --system cosmos,mdlm --steps 8,32 --seeds 3 --out runs/steps
  python -m benchmarks run --task detox --preset small --seeds 3 --engine ray --address 10.0.0.1:6379
  python -m benchmarks run --task detox --set data.train=500 --set budget=100steps --limit 50 --out runs/quick
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.cli.engine import add_engine, chosen
from benchmarks.cli.flags import BenchmarksParser, add_cell, add_fresh, add_run_flags, add_track, choices_of
from cosmos.io.terminal import say, tell

if TYPE_CHECKING:
    from benchmarks.api import RunResult
    from benchmarks.planning.run_config import Choices
    from benchmarks.running.runner import Stage


def add_arguments(parser: BenchmarksParser) -> None:
    add_run_flags(parser)
    add_cell(parser)
    add_engine(parser)
    add_fresh(parser)
    add_track(parser)


def main(arguments: argparse.Namespace) -> int:
    return execute(arguments, ("fit", "generate", "score"))


def execute(arguments: argparse.Namespace, stages: tuple[Stage, ...]) -> int:
    """Carry out some stages of the plan a command line describes, and report if scoring was among them."""
    return carry_out(choices_of(arguments), stages, arguments)


def carry_out(choices: Choices, stages: tuple[Stage, ...], arguments: argparse.Namespace) -> int:
    """The same for choices that were made.

    Of one cell alone where the arguments name one, and then without a report; by the engine that they name, if any.
    """
    from benchmarks import api

    result = api.carry_out(
        choices,
        stages,
        fresh=arguments.fresh,
        track=arguments.track,
        cell=getattr(arguments, "cell", None),
        engine=(lambda: chosen(arguments)) if hasattr(arguments, "engine") else None,
    )
    say_report(result)
    for sentence in (*result.failed, *result.refused):
        tell(sentence)
    return result.exit_code


def say_report(result: RunResult) -> None:
    """Print the table of a run, if a report was written, and say where each file is."""
    if result.table:
        say(result.table)
    for kind, path in result.report.items():
        say(f"{kind}: {path}")
