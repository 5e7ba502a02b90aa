"""One parser of all verbs, for what completes them."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from benchmarks.cli.flags import SCRIPT, BenchmarksParser

_FOLDERS = ("out", "to", "folder")
_FILES = ("config", "texts", "requests")


def whole_parser(shells: Sequence[str]) -> argparse.ArgumentParser:
    """All verbs in one parser, which knows what may stand behind each flag."""
    import shtab

    from benchmarks.cli.main import VERBS, module_of

    parser = argparse.ArgumentParser(prog=SCRIPT)
    parser.add_argument("--version", action="store_true", help="the version of this package")
    parser.add_argument("--constraints", action="store_true", help="the file of tested versions")
    verbs = parser.add_subparsers(dest="verb")
    names = _names()
    for verb in VERBS:
        module = module_of(verb)
        flags = BenchmarksParser(verb, module.__doc__ or "")
        flags.add_help = False
        module.add_arguments(flags)
        summary = (module.__doc__ or "").split("\n", 1)[0]
        inner = verbs.add_parser(verb, help=summary, parents=[flags], conflict_handler="resolve")
        for action in inner._actions:
            if action.dest in _FOLDERS:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined] # where shtab looks for it
            elif action.dest in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif (verb, action.dest) == ("list", "what"):
                action.choices = list(importlib.import_module("benchmarks.cli.list").WHAT)
            elif (verb, action.dest) == ("completion", "shell"):
                action.choices = shells
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
