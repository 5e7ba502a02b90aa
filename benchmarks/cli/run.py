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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.engine import add_engine, chosen, device_of
from benchmarks.cli.flags import BenchmarksParser, add_cell, add_fresh, add_run_flags, add_track, choices_of
from cosmos.io.terminal import say, tell

if TYPE_CHECKING:
    from benchmarks.planning.run_config import Choices
    from benchmarks.running.runner import Stage
    from benchmarks.trackers.tracking import Tracking


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
    from benchmarks.planning import cell_lines, plan
    from benchmarks.trackers import names

    fresh, track, cell_id = arguments.fresh, arguments.track, getattr(arguments, "cell", None)
    if track is not None:
        names.check(track)

    # What is wrong with the texts is said before frameworks take their seconds.
    source = plan.open_source(choices, train="fit" in stages)
    engine = chosen(arguments) if hasattr(arguments, "engine") else None

    from benchmarks.cli.progress import ConsoleReporter
    from benchmarks.records import environment, store
    from benchmarks.running import runner

    find_device = environment.find_device if engine is None else device_of
    run_plan = plan.make(choices, find_device(choices.device), source)
    only = None if cell_id is None else [cell_lines.find(run_plan, cell_id)]
    with tracked(track, run_plan.folder, choices) as tracking:
        if engine is not None:
            outcome = engine(run_plan, ConsoleReporter(), stages, fresh)
        else:
            outcome = runner.run(run_plan, ConsoleReporter(), stages, fresh=fresh, tracking=tracking, only=only)
    if only is None and "score" in stages and any(h.status == "done" for h in store.read_headers(run_plan.folder)):
        show_report(run_plan.folder)
    for sentence in (*outcome.failed, *outcome.refused):
        tell(sentence)
    return outcome.exit_code


@contextmanager
def tracked(tracker: str | None, folder: Path, choices: Choices) -> Iterator[Tracking | None]:
    """A tracker that is told what a run holds when this ends; None where none is asked for."""
    if tracker is None:
        yield None
        return
    from benchmarks.trackers.outcomes import tell_outcomes
    from benchmarks.trackers.tracking import Tracking

    with Tracking(tracker, folder, tell, offline=choices.offline) as tracking:
        yield tracking
        tell_outcomes(tracking, folder)


def show_report(folder: Path, *, layout: str = "paper", label_prefix: str | None = None) -> None:
    """Write the report of a run, print its table, and say where the report is."""
    import reports

    table, written = reports.publish(folder, layout=layout, label_prefix=label_prefix)
    say(table)
    for kind, path in written.items():
        say(f"{kind}: {path}")
