"""Did my last change make it worse? A run against its baseline, as an exit code.

Exit code 0: nothing is worse than its margin allows. 1: a regression, with its metric, entry, size and interval, and
the command that shows it. 2: it cannot be judged, and why: too few texts, another evaluator, tokenizer or test set,
other machines.

Scores and network calls are taken from both runs. Speed is timed anew: the code of the baseline's commit (`git
worktree`) and that of the run take turns on this machine, in fresh processes, and what is flagged is timed once more
before it counts. Without RUN, what the baseline holds is made again first, by the code at work.

examples:
  python -m benchmarks gate runs/new --against runs/baseline
  python -m benchmarks gate runs/new --against runs/baseline --config plan.toml --github --junit gate.xml
  python -m benchmarks gate runs/new --against runs/baseline --set gate.exact_j=0.05 --no-speed
  python -m benchmarks gate runs/new --against runs/baseline --plan
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cli.flags import BenchmarksParser, add_flags, add_settings
from cosmos.io.terminal import say, tell

if TYPE_CHECKING:
    from benchmarks.planning.gate_margins import Margins
    from benchmarks.tracking.gate.interleaving import Design
    from benchmarks.tracking.gate.verdict import GateResult

PROCESSES, ROUNDS = "5", "10"
_RUN = "runs/gate"


def add_arguments(parser: BenchmarksParser) -> None:
    from benchmarks.planning.gate_margins import DEFAULTS

    parser.add_argument("run", metavar="RUN", nargs="?", help="the folder of the run that is judged")
    parser.add_argument(
        "--against",
        metavar="BASELINE",
        required=True,
        help="a run's folder, published records, or a git commit of runs",
    )
    add_flags(parser, "system", "out")
    parser.set_help("system", "only these systems; may be repeated (default: all of the baseline)")
    parser.set_help("out", f"where the run is made if none is named (default: {_RUN})")
    parser.add_argument("--plan", action="store_true", help="only say how many texts and rounds show a regression")
    parser.add_argument("--no-speed", action="store_true", help="judge scores and network calls alone")
    parser.add_argument(
        "--processes", metavar="N", default=PROCESSES, help=f"of each side that is timed (default: {PROCESSES})"
    )
    parser.add_argument(
        "--rounds", metavar="N", default=ROUNDS, help=f"in each of the processes, at most (default: {ROUNDS})"
    )
    parser.add_argument("--minutes", metavar="N", help="that rounds may take, all entries together (default: no limit)")
    parser.add_argument("--junit", metavar="FILE", help="write JUnit XML")
    parser.add_argument(
        "--github", action="store_true", help="print annotations, and add a page to $GITHUB_STEP_SUMMARY"
    )
    add_settings(parser)
    parser.epilog = f"keys of --set, and of the table [gate] in --config: gate.METRIC, gate.speed, ...\n\n{DEFAULTS}"


def main(arguments: argparse.Namespace) -> int:
    margins, design, minutes = _margins(arguments), _design(arguments), _minutes(arguments.minutes)
    if arguments.junit is not None:
        _check_file(arguments.junit)
    from benchmarks.planning.run_config import go_offline

    if arguments.offline is not False:
        go_offline()

    from benchmarks.tracking.sides import read_side

    systems = tuple(name for word in arguments.system or () for name in word.split(","))
    if arguments.plan:
        from benchmarks.tracking.gate import planning

        baseline = read_side(arguments.against)
        run = None if arguments.run is None else read_side(arguments.run)
        for line in planning.plan(baseline, run, margins, design, minutes, systems):
            say(line)
        return 0

    from baselines.contract import UserError
    from benchmarks.tracking.gate import outputs, verdict

    try:
        result = _judged(arguments, margins, design, minutes, systems)
    except UserError as error:  # is said on stderr; those who read the other outputs learn it from them
        judged = arguments.run or arguments.out or _RUN
        _write(verdict.not_judged(arguments.against, judged, str(error)), arguments)
        raise
    say(outputs.terminal(result))
    _write(result, arguments)
    return result.exit_code


def _judged(
    arguments: argparse.Namespace, margins: Margins, design: Design, minutes: float | None, systems: tuple[str, ...]
) -> GateResult:
    """The run by its baseline, made first if none is named."""
    from benchmarks.tracking.gate.gating import GateRequest, gate
    from benchmarks.tracking.sides import read_side

    baseline = read_side(arguments.against)
    run = arguments.run
    if run is None:
        from benchmarks.tracking.gate import remaking

        run = remaking.make_again(baseline, Path(arguments.out or _RUN), systems)
    again = ("python", "-m", "benchmarks", "gate", run, "--against", arguments.against, *_given(arguments))
    speed = not arguments.no_speed
    return gate(
        baseline,
        read_side(run, none_done=True),
        GateRequest(margins, systems, speed, design, minutes, again, say=tell),
    )


def _given(arguments: argparse.Namespace) -> Iterator[str]:
    """The flags of a command that decide how is judged, as far as they were given."""
    for name, usual in (("config", None), ("processes", PROCESSES), ("rounds", ROUNDS), ("minutes", None)):
        value = getattr(arguments, name)
        if value != usual:
            yield from (f"--{name}", value)
    for assignment in arguments.set:
        yield from ("--set", assignment)
    if arguments.no_speed:
        yield "--no-speed"
    if arguments.offline is not None:
        yield "--offline" if arguments.offline else "--no-offline"


def _write(result: GateResult, arguments: argparse.Namespace) -> None:
    """The outputs that were asked for besides the terminal's."""
    from benchmarks.tracking.gate import outputs

    if arguments.github:
        for line in outputs.github_lines(result):
            say(line)
        outputs.add_summary(result)
    if arguments.junit is not None:
        outputs.write_junit(result, Path(arguments.junit))


def _margins(arguments: argparse.Namespace) -> Margins:
    """The margins of the file, and of the command line, which beats it."""
    from baselines.contract import unknown
    from benchmarks.planning import gate_margins
    from benchmarks.planning.overrides import split_assignment
    from benchmarks.planning.run_config import read_config

    table: Any = {}
    if arguments.config is not None:
        table = read_config(Path(arguments.config)).get(gate_margins.TABLE, {})
        gate_margins.read(table, arguments.config)
    typed = {}
    for key, value in map(split_assignment, arguments.set):
        head, _, name = key.partition(".")
        if head != gate_margins.TABLE or not name:
            raise unknown("key of --set", key, [f"gate.{part}" for part in ("speed", "calls", "others", "METRIC")])
        typed[name] = {"true": True, "false": False}.get(str(value).lower(), value)
    gate_margins.read(typed, "--set")
    return gate_margins.read({**table, **typed}, "[gate]")


def _design(arguments: argparse.Namespace) -> Design:
    from baselines.contract import UserError
    from benchmarks.planning.overrides import CliValue, convert
    from benchmarks.stats.ratios import LEAST_ROUNDS
    from benchmarks.timing.noise_floor import LEAST_PROCESSES
    from benchmarks.tracking.gate.interleaving import Design

    numbers = {name: convert(CliValue(getattr(arguments, name)), int, f"--{name}") for name in ("processes", "rounds")}
    for name, least in (("processes", LEAST_PROCESSES), ("rounds", LEAST_ROUNDS)):
        if numbers[name] < least:
            raise UserError(
                f"--{name} must be at least {least}, not {numbers[name]}: fewer do not say how they differ."
            )
    return Design(numbers["processes"], numbers["rounds"])


def _check_file(junit: str) -> None:
    """Say that a report cannot be written before minutes are spent on it."""
    from baselines.contract import UserError

    if Path(junit).is_dir():
        raise UserError(f"{junit or 'An empty name'} is a folder; name a file with --junit.")


def _minutes(typed: str | None) -> float | None:
    from baselines.contract import UserError
    from benchmarks.planning.overrides import CliValue, convert

    if typed is None:
        return None
    minutes: float = convert(CliValue(typed), float, "--minutes")
    if not 0 < minutes < float("inf"):
        raise UserError(f"--minutes must be above 0, not {typed}.")
    return minutes
