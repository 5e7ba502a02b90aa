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


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "task", "source", "preset", "out", "metric")
    parser.set_help("task", "of the run, which finds its folder where --out does not say it")
    parser.set_help("source", "of the run, likewise (default: the task's first)")
    parser.set_help("preset", "of the run, likewise (default: nano)")
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
    from benchmarks import api
    from benchmarks.cli.run import say_report
    from benchmarks.metrics.core import selection
    from benchmarks.planning.plan import default_folder

    choices = choices_of(arguments)
    evaluators = selection.chosen_evaluators(choices.changes)
    for key in choices.changes:
        if not key.startswith(f"{selection.PREFIX}."):
            raise UserError(f"Scoring has no {key}; only {selection.PREFIX}.ROLE can be set here.")
    say_report(
        api.score(
            default_folder(choices),
            metrics=choices.metric,
            evaluators=evaluators,
            device=arguments.device or "cpu",
            track=arguments.track,
            offline=choices.offline,
        )
    )
    return 0
