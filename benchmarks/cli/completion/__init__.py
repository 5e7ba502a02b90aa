"""Print a script by which a shell completes verbs, flags and names after `cosmos-bench`.

examples:
  python -m benchmarks completion bash > ~/.local/share/bash-completion/completions/cosmos-bench
  python -m benchmarks completion zsh > DIRECTORY_OF_FPATH/_cosmos-bench
"""

from __future__ import annotations

import argparse

from baselines.contract import UserError, unknown
from benchmarks.cli.flags import BenchmarksParser

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("shell", metavar="SHELL", help=" | ".join(SHELLS))


def main(arguments: argparse.Namespace) -> int:
    if arguments.shell not in SHELLS:
        raise unknown("shell", arguments.shell, SHELLS)
    try:
        import shtab
    except ImportError as error:
        raise UserError("Completion needs the package shtab; add it with: pip install shtab.") from error
    from benchmarks.cli.completion.whole_parser import whole_parser

    print(shtab.complete(whole_parser(SHELLS), arguments.shell))
    return 0
