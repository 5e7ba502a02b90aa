"""Choose the recipes of systems by one protocol: equal trials for all, on documents that no run is scored on.

Every system is trained with every point of one grid of learning rates, batch sizes and dropouts, with as many points of
its own as every other (--points), and as its recipe stands, at one budget; the best points and the recipe as it stands
are trained with further seeds, and the best mean is chosen. Judged are texts for validation documents, where the source
draws documents those of another seed, by the first of the task's headlines that can be had here. Killed or interrupted,
the same command goes on where it stopped.

examples:
  python -m benchmarks tune --task detox --system cosmos,gpt2,mdlm --jobs 2
  python -m benchmarks tune --task detox --learning-rates 1e-3,3e-3 --batch-sizes 16 --dropouts 0 --out tuning
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from benchmarks.cli.flags import BenchmarksParser, add_flags, add_settings, choices_of
from cosmos.io.errors import check_range
from cosmos.io.terminal import say, tell

if TYPE_CHECKING:
    from benchmarks.planning.run_config import Choices

_FLAGS = {  # field of `benchmarks.tuning.space.TrialGrid` -> what the flag takes, what it is
    "learning_rates": ("X[,X]", "learning rates of a recipe's trainings (a distillation keeps its own)"),
    "batch_sizes": ("N[,N]", "texts of a training step"),
    "dropouts": ("X[,X]", "dropouts of all networks that have one"),
    "finalists": ("N", "points that are trained with all seeds"),
}
LIMIT, MOST_JOBS = 500, 1024


def add_arguments(parser: BenchmarksParser) -> None:
    from benchmarks.tuning.space import TrialGrid

    add_flags(parser, "task", "system", "preset", "source", "device", "seed")
    parser.add_argument(
        "--out", metavar="FOLDER", help="where trials and tables go (default: tuning/TASK-SOURCE-PRESET)"
    )
    for name, (meta, text) in _FLAGS.items():
        default = getattr(TrialGrid(), name)
        shown = ",".join(f"{value:g}" for value in default) if isinstance(default, tuple) else default
        parser.add_argument(f"--{name.replace('_', '-')}", metavar=meta, help=f"{text} (default: {shown})")
    parser.add_argument(
        "--points", metavar="FILE", help="what to try beside the grid: docs/tuning.md says what the file holds"
    )
    parser.add_argument("--seeds", metavar="K", help=f"seeds of the finalists (default: {TrialGrid().seeds})")
    parser.add_argument("--limit", metavar="N", help=f"texts that are judged (default: {LIMIT})")
    parser.add_argument(
        "--metric", metavar="NAME", help="by which (default: the task's first headline that works here)"
    )
    parser.add_argument("--jobs", metavar="N", help="trials at once (default: 1)")
    add_settings(parser)


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.planning import plan
    from benchmarks.planning.overrides import CliValue, convert
    from benchmarks.tuning import further_points
    from benchmarks.tuning.space import TrialGrid

    typed = {name: getattr(arguments, name) for name in (*_FLAGS, "seeds")}
    hints = get_type_hints(TrialGrid)
    given = {
        name: convert(CliValue(value), hints[name], f"--{name.replace('_', '-')}")
        for name, value in typed.items()
        if value is not None
    }
    grid = TrialGrid(**given)
    limit = LIMIT if arguments.limit is None else convert(CliValue(arguments.limit), int, "--limit")
    jobs = 1 if arguments.jobs is None else convert(CliValue(arguments.jobs), int, "--jobs")
    for name, value, most in (("--limit", limit, 1_000_000), ("--jobs", jobs, MOST_JOBS)):
        check_range(name, value, 1, most)
    points = further_points.FurtherPoints()
    if arguments.points is not None:
        points = further_points.read(Path(arguments.points))
    named = arguments.metric
    arguments.metric = arguments.limit = arguments.seeds = None
    choices = choices_of(arguments)
    task, _, source = plan.check_names(choices)
    command = _command(choices, {**typed, "points": arguments.points, "limit": limit, "metric": named})
    systems = choices.system or task.systems  # without the floors of every run

    from benchmarks.records import environment
    from benchmarks.tuning import judge, protocol, table

    metric = judge.choose(task, source, named)
    device = environment.find_device(choices.device)
    choices = dataclasses.replace(choices, device=device)
    folder = Path(choices.out or f"tuning/{task.name}-{source}-{choices.preset}")
    tuned = protocol.tune(systems, choices, grid, metric, limit, folder / "trials", jobs, tell, points)
    written = table.write(folder, tuned, metric, command, environment.made_with(device))
    say(table.markdown(tuned, metric).rstrip())
    for kind, path in written.items():
        say(f"{kind}: {path}")
    return 0


def _command(choices: Choices, flags: Mapping[str, Any]) -> str:
    """The command line that tunes the same again."""
    from benchmarks.planning.run_config import as_flags

    own = [f"--{name.replace('_', '-')} {value}" for name, value in flags.items() if value is not None]
    return " ".join(["python -m benchmarks tune", *as_flags(dataclasses.replace(choices, out=None)), *own])
