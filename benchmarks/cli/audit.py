"""Audit the speeds of a run: whether its timings are what they seem.

Looks at the records of each done cell (of cells that differ by their seed alone, the first), loads its checkpoint, and
has some of its texts made again: untimed, alone and in the largest batch, compiled and eager, twice, and while every
operation is looked at. A run without checkpoints is audited by its records alone, which cannot tell everything.

Exit code 0: all that was looked at holds; 1: something was found; 2: something cannot be told.

examples:
  python -m benchmarks audit runs/detox-world-nano
  python -m benchmarks audit runs/detox-world-nano cosmos --texts 256 --seconds 600
  python -m benchmarks audit runs/story-hub-base --capture off --json audit.json
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cli.flags import BenchmarksParser, add_run_flags, choices_of, parse
from cosmos.io.counting import counted
from cosmos.io.terminal import say

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan

CAPTURES = ("off", "compile", "graph")
_TEXTS, _SECONDS = 64, 120.0


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the run's folder")
    parser.add_argument("cell", metavar="CELL", nargs="?", help="the beginning of a cell's id, or a system")
    parser.add_argument(
        "--texts", metavar="N", default=_TEXTS, help=f"make at most N again at once (default: {_TEXTS})"
    )
    parser.add_argument(
        "--seconds",
        metavar="S",
        default=_SECONDS,
        help=f"begin no further check of a cell after so long (default: {_SECONDS:g})",
    )
    parser.add_argument(
        "--capture",
        metavar="KIND",
        default="off",
        help="off, compile or graph: with which texts are compared with those of the setting as it is (default: off)",
    )
    parser.add_argument("--json", metavar="FILE", help="write what was seen there too")


def main(arguments: argparse.Namespace) -> int:
    from baselines.contract import unknown
    from benchmarks.records import store
    from benchmarks.running.audited_cells import RunToAudit, chosen
    from benchmarks.running.auditing.checks import Bounds
    from benchmarks.running.cell_status import label
    from benchmarks.timing.audit.checked import exit_code

    if arguments.capture not in CAPTURES:
        raise unknown("capture", arguments.capture, CAPTURES)
    texts = _positive(arguments.texts, int, "--texts")
    seconds = _positive(arguments.seconds, float, "--seconds")
    folder = Path(arguments.run)
    records = chosen(store.read_run(folder), arguments.cell, folder)
    run = RunToAudit(folder, _planned, Bounds(texts=int(texts), seconds=seconds), arguments.capture)
    every, rows = [], []
    for record in records:
        say(label(record.header.cell))
        for finding in run.audit(record):
            say(f"  {finding}")
            every.append(finding)
            rows.append({"cell": record.header.cell.id, **vars(finding)})
    if arguments.json is not None:
        _write(Path(arguments.json), rows)
    counts = {kind: sum(finding.outcome == kind for finding in every) for kind in ("found", "cannot tell")}
    told = f"{counted(counts['found'], 'finding')}, {counts['cannot tell']:,} cannot be told"
    say(f"{counted(len(records), 'cell')}, {counted(len(every), 'check')}: {told}")
    return exit_code(every)


def _positive(typed: Any, kind: type[float], flag: str) -> float:
    from baselines.contract import UserError

    name = "whole number" if kind is int else "number"
    try:
        value = kind(typed)
    except ValueError as error:
        raise UserError(f"{flag} must be a positive {name}, not {str(typed)[:50]!r}.") from error
    if not 0 < value < float("inf"):
        raise UserError(f"{flag} must be a positive {name}, not {value:g}.")
    return value


def _planned(command: str, device: str) -> Plan:
    """The plan that a cell's command describes, nothing of it carried out.

    Raises:
        UserError: the record says no command that could be read, or what it names is not here.
    """
    from baselines.contract import UserError
    from benchmarks.planning import plan

    words = shlex.split(command) if command.count("'") % 2 == 0 else []
    if words[1:4] != ["-m", "benchmarks", "run"]:
        raise UserError("its record says no command that makes it again.")
    parser = BenchmarksParser("run", "")
    add_run_flags(parser)
    return plan.make(choices_of(parse(parser, words[4:])), device)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    from benchmarks.records.files import write_json

    write_json(path, {"findings": [{**row, "figures": dict(row["figures"])} for row in rows]})
