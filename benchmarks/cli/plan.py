"""Show the cells a run would make, what is done already, and an estimate of time and disk.

Takes the same flags as run, checks all of them, the texts of the source and the weights that training begins from, and
writes nothing. The estimate is from earlier records of the run, or else from the budgets: for those in FLOPs a small
matrix product is timed, for those in steps a few training steps of each system, on random rows. `--format jsonl` prints
a JSON line for each cell, with its commands and needs, from which a scheduler can run them (docs/clusters.md); then a
CUDA device need not be on this machine.

examples:
  python -m benchmarks plan --task detox --steps 8,32 --seeds 3
  python -m benchmarks plan --task detox --device cuda --format jsonl
"""

from __future__ import annotations

import argparse
import dataclasses
import json

from baselines.contract import unknown
from benchmarks.cli.flags import BenchmarksParser, add_run_flags, choices_of
from cosmos.io.terminal import say

FORMATS = ("text", "jsonl")


def add_arguments(parser: BenchmarksParser) -> None:
    add_run_flags(parser)
    parser.add_argument("--format", metavar="FORMAT", default="text", help="text or jsonl (default: text)")


def main(arguments: argparse.Namespace) -> int:
    from benchmarks.planning import plan

    if arguments.format not in FORMATS:
        raise unknown("format", arguments.format, FORMATS)
    choices = choices_of(arguments)
    source = plan.open_source(choices, train=True)

    from benchmarks.planning import cell_lines, estimate, located_weights, plan_file
    from benchmarks.progress import ConsoleReporter, beating
    from benchmarks.records import environment, store

    listed = arguments.format == "jsonl"
    device, devices = choices.device, choices.devices
    if listed and not devices and environment.is_cuda(device):
        pass  # it is that of another machine
    else:
        device, devices = environment.find_devices(choices.device, choices.devices, elsewhere=listed)
    run_plan = plan.make(dataclasses.replace(choices, devices=devices), device, source)
    there = next(path for path in (run_plan.folder, *run_plan.folder.absolute().parents) if path.exists())
    if not there.is_dir():
        store.prepare(run_plan.folder)  # says what is wrong
    plan_file.join(store.read_plan(run_plan.folder), plan_file.describe(run_plan), run_plan.folder)
    located_weights.check_plan(run_plan)
    if listed:
        for row in cell_lines.lines(run_plan):
            print(json.dumps(row))
        return 0
    say(f"{run_plan.task.title}\nrun folder: {run_plan.folder}\n")
    width = max(12, *(len(planned.cell.system) + 2 for planned in run_plan.cells))
    say(f"{'cell':8}{'system':{width}}{'preset':8}{'setting':18}{'seed':>5}  {'budget':16}{'state'}")
    for planned in run_plan.cells:
        cell = planned.cell
        named = f"{cell.id[:6]:8}{cell.system:{width}}{cell.preset:8}{cell.setting:18}"
        say(f"{named}{cell.seed:>5}  {cell.budget:16}{cell_lines.state_of(run_plan, planned)}")
    say()
    with beating(ConsoleReporter(), "estimating"):
        sentences = [*estimate.sentences(run_plan), plan.unequal_budgets(run_plan)]
    for sentence in filter(None, sentences):
        say(sentence[0].upper() + sentence[1:])
    return 0
