"""Bring texts that were made elsewhere into a run: checked, scored, tested, and ranked among their like.

The file holds a JSON object a line (or is Parquet): `id`, that of a test document, `text`, the answer to it, and, so
that it can be checked, `source`. `--requests` writes what is asked for whoever makes the texts. The file must answer
every test document once and no other. Its SHA-256 is kept with the texts, and another file under the same name is
refused. Several such systems, each under its name, may stand in one run, and so may several seeds of one. In a run that
is there already they are put beside its systems; else one is made with the task's floors. What their training was, and
how fast they are, nobody here knows: the seconds that are said are shown, and rank nothing.

examples:
  python -m benchmarks import --task detox --requests asked.jsonl
  python -m benchmarks import --task detox --texts theirs.jsonl --name "Their model" --seconds 31.5
  python -m benchmarks import --texts second.jsonl --name "Their model" --seed 1 --out runs/detox-world-nano
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser, add_flags, add_fresh, add_settings, choices_of
from cosmos.io.terminal import say


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("--texts", metavar="FILE", help="the texts")
    parser.add_argument("--name", metavar="NAME", help="of the system that made them, as reports shall call it")
    parser.add_argument("--seconds", metavar="S", help="how long making all of them took, as far as it is known")
    parser.add_argument("--requests", metavar="FILE", help="write what is asked there instead, and bring nothing")
    add_flags(parser, "task", "source", "preset", "limit", "metric", "seed", "out")
    parser.set_help("preset", "the run's, where its folder is not said (default: nano)")
    parser.set_help("seed", "the training seed of these texts, where several were trained (default: 0)")
    add_settings(parser)
    add_fresh(parser)


def main(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from baselines.contract import UserError
    from benchmarks import api
    from benchmarks.cli.run import say_report

    choices = choices_of(arguments)
    if arguments.requests is not None:
        from benchmarks.importing import requests

        say(f"requests: {requests.ask(choices, Path(arguments.requests))}")
        return 0
    if arguments.texts is None or arguments.name is None:
        raise UserError("Say the file with --texts and who made it with --name; or --requests, to write what is asked.")
    seconds = None if arguments.seconds is None else _number(arguments.seconds)
    result = api.bring(choices, Path(arguments.texts), arguments.name, seconds=seconds, fresh=arguments.fresh)
    say_report(result)
    return result.exit_code


def _number(typed: str) -> float:
    from baselines.contract import UserError

    try:
        return float(typed)
    except ValueError as error:
        raise UserError(f"--seconds must be a number, not {typed[:50]!r}.") from error
