"""Name the tasks, systems, presets, metrics or sources there are.

examples:
  python -m benchmarks list systems
  python -m benchmarks list presets --system cosmos
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from baselines.contract import unknown
from benchmarks.cli.flags import Parser, add_flags

WHAT = ("tasks", "systems", "presets", "metrics", "sources")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("what", metavar="WHAT", help=" | ".join(WHAT))
    add_flags(parser, "system", "source")


def main(arguments: argparse.Namespace) -> int:
    if arguments.what not in WHAT:
        raise unknown("list", arguments.what, WHAT)
    rows = {
        "tasks": _tasks,
        "systems": _systems,
        "presets": lambda: _presets(arguments.system),
        "metrics": lambda: _metrics(arguments.source or "world"),
        "sources": _sources,
    }[arguments.what]()
    for name, text in rows:
        print(f"{name:16}{text}".rstrip())
    return 0


def _tasks() -> Iterator[tuple[str, str]]:
    from benchmarks import tasks

    for name in tasks.names():
        yield name, tasks.find(name).title


def _systems() -> Iterator[tuple[str, str]]:
    from baselines import catalogue

    for name in catalogue.names():
        yield name, ""


def _presets(given: list[str] | None) -> Iterator[tuple[str, str]]:
    from baselines import catalogue

    names = [name for part in given or () for name in part.split(",")] or catalogue.names()
    for name in names:
        system = catalogue.find(name)
        presets = [
            f"{preset} ({recipe.budget})" if system.trained else preset for preset, recipe in system.presets.items()
        ]
        yield name, f"presets: {', '.join(presets)}; settings: {', '.join(system.settings)}"


def _metrics(source: str) -> Iterator[tuple[str, str]]:
    from benchmarks import metrics

    for entry in metrics.available(source):
        yield entry.metric, entry.evaluator if entry.works else entry.hint


def _sources() -> Iterator[tuple[str, str]]:
    import dataclasses

    from benchmarks.data import source

    for name in source.names():
        options = source.find(name).Options()
        yield name, ", ".join(f"data.{f.name}={getattr(options, f.name)}" for f in dataclasses.fields(options))
