"""Score the texts of a run again, without any system.

Needs only the run's folder: texts, documents and what was learnt from are in it. What models said of a text is kept in
the user's cache, so a scoring that was cut short goes on. By default the task's metrics that take seconds: a model of
more than 200 MB judges on a GPU, or where its metric is named.

examples:
  python -m benchmarks score --task detox
  python -m benchmarks score --out runs/story-world-nano --metric all
  python -m benchmarks score --out runs/detox-local-nano --metric rouge_l,evaluate:exact_match
  python -m benchmarks score --out runs/story-hub-small --metric mauve --device cuda --set evaluators.lm=gpt2-large
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser, add_flags, add_track, choices_of
from cosmos.io.terminal import tell


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "task", "source", "preset", "out", "metric")
    parser.add_argument(
        "--device", metavar="DEVICE", help="where models judge: cpu, cuda, cuda:N or auto (default: cpu)"
    )
    parser.add_argument(
        "--set",
        metavar="evaluators.ROLE=NAME",
        action="append",
        default=[],
        help="the model that judges in a role, by name (`fetch --list`) or folder; repeatable",
    )
    parser.add_argument(
        "--offline",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="never touch the network (default: on; --no-offline lets evaluate:NAME load its script)",
    )
    add_track(parser)


def main(arguments: argparse.Namespace) -> int:
    from baselines.contract import UserError
    from benchmarks.cli.run import show_report, tracked
    from benchmarks.metrics.core import selection
    from benchmarks.planning.plan import default_folder
    from benchmarks.records import environment, store
    from benchmarks.records.files import locked
    from benchmarks.running import scoring
    from benchmarks.running.cell_status import label
    from benchmarks.trackers import names

    choices = choices_of(arguments)
    if arguments.track is not None:
        names.check(arguments.track)
    evaluator_models = selection.chosen_evaluators(choices.changes)
    for key in choices.changes:
        if not key.startswith(f"{selection.PREFIX}."):
            raise UserError(f"Scoring has no {key}; only {selection.PREFIX}.ROLE can be set here.")
    device = environment.find_device(arguments.device or "cpu")
    folder = default_folder(choices)
    headers = store.read_headers(folder)
    plan = store.read_plan(folder)
    assert plan is not None, "a run that can be read has a plan"
    evaluators = {**plan.get("evaluators", {}), **evaluator_models}
    asked = selection.select(choices.metric, plan["task"].get("metrics", ()), evaluators, device)
    scoring.check_cache()
    with locked(folder), tracked(arguments.track, folder, choices):
        store.write_plan(folder, {**plan, "evaluators": evaluators})
        for header in headers:
            cell = header.cell
            if not store.is_generated(store.cell_folder(folder, cell.id)):
                tell(f"{label(cell)}: not scored, its texts are not all there")
                continue
            scoring.score(folder, store.cell_folder(folder, cell.id), header, asked)
            tell(f"{label(cell)}: scored")
    show_report(folder)
    return 0
