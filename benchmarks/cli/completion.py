"""Print a script by which a shell completes verbs, flags and names after `cosmos-bench`.

examples:
  python -m benchmarks completion bash > ~/.local/share/bash-completion/completions/cosmos-bench
  python -m benchmarks completion zsh > DIRECTORY_OF_FPATH/_cosmos-bench
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from baselines.contract import UserError, unknown
from benchmarks.cli.flags import SCRIPT, BenchmarksParser

SHELLS = ("bash", "zsh", "tcsh")
_FOLDERS = ("out", "from")
_FILES = ("config",)


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("shell", metavar="SHELL", help=" | ".join(SHELLS))


def main(arguments: argparse.Namespace) -> int:
    if arguments.shell not in SHELLS:
        raise unknown("shell", arguments.shell, SHELLS)
    try:
        import shtab
    except ImportError as error:
        raise UserError("Completion needs the package shtab; add it with: pip install shtab.") from error
    print(shtab.complete(_whole_parser(), arguments.shell))
    return 0


def _whole_parser() -> argparse.ArgumentParser:
    """All verbs in one parser, which knows what may stand behind each flag."""
    from benchmarks.cli.main import VERBS

    parser = argparse.ArgumentParser(prog=SCRIPT)
    parser.add_argument("--version", action="store_true", help="the version of this package")
    parser.add_argument("--constraints", action="store_true", help="the file of tested versions")
    verbs = parser.add_subparsers(dest="verb")
    names = _names()
    for verb in VERBS:
        module = importlib.import_module(f"benchmarks.cli.{verb.replace('-', '_')}")
        flags = BenchmarksParser(verb, module.__doc__ or "")
        flags.add_help = False
        module.add_arguments(flags)
        summary = (module.__doc__ or "").split("\n", 1)[0]
        inner = verbs.add_parser(verb, help=summary, parents=[flags], conflict_handler="resolve")
        for action in inner._actions:
            if action.dest in _FOLDERS or action.dest in _FILES:
                kind = "DIRECTORY" if action.dest in _FOLDERS else "FILE"
                action.complete = getattr(importlib.import_module("shtab"), kind)
            elif (verb, action.dest) == ("list", "what"):
                action.choices = list(importlib.import_module("benchmarks.cli.list").WHAT)
            elif (verb, action.dest) == ("completion", "shell"):
                action.choices = SHELLS
            elif action.dest in names and action.option_strings:
                action.choices = names[action.dest]
    return parser


def _names() -> dict[str, Sequence[str]]:
    """What may stand behind a flag: of names that packages add, those that are installed now."""
    from baselines import registry
    from benchmarks import tasks
    from benchmarks.data import source

    return {
        "task": tasks.names(),
        "system": registry.names(),
        "source": source.names(),
        "preset": ("nano", "small", "base"),
        "device": ("auto", "cpu", "cuda"),
    }
