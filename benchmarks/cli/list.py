"""Name the tasks, systems, presets, settings, metrics, evaluators or sources there are.

examples:
  python -m benchmarks list systems
  python -m benchmarks list settings --system cosmos
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from baselines.contract import unknown
from benchmarks.cli.flags import BenchmarksParser, add_flags, source_of
from cosmos.io.terminal import say

WHAT = ("tasks", "systems", "presets", "settings", "metrics", "evaluators", "sources")


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("what", metavar="WHAT", help=" | ".join(WHAT))
    add_flags(parser, "system", "source")


def main(arguments: argparse.Namespace) -> int:
    if arguments.what not in WHAT:
        raise unknown("list", arguments.what, WHAT)
    rows = {
        "tasks": _tasks,
        "systems": _systems,
        "presets": lambda: _presets(arguments.system),
        "settings": lambda: _settings(arguments.system),
        "metrics": lambda: _metrics(source_of(arguments.source)),
        "evaluators": _evaluators,
        "sources": _sources,
    }[arguments.what]()
    listed = list(rows)
    width = max(16, *(len(name) + 2 for name, _ in listed)) if listed else 16
    for name, text in listed:
        say(f"{name:{width}}{text}".rstrip())
    return 0


def _tasks() -> Iterator[tuple[str, str]]:
    from benchmarks import tasks

    for name in tasks.names():
        yield name, tasks.find(name).title


def _systems() -> Iterator[tuple[str, str]]:
    from baselines import registry

    for name in registry.names():
        yield name, ""
    for family in registry.SYSTEMS.families:
        yield family.form, family.summary


def _systems_named(names: list[str] | None) -> Iterator[tuple[str, Any]]:
    """The systems named, or all of them."""
    from baselines import registry

    for name in [name for part in names or () for name in part.split(",")] or registry.names():
        yield name, registry.find(name)


def _presets(names: list[str] | None) -> Iterator[tuple[str, str]]:
    for name, system in _systems_named(names):
        presets = [
            f"{preset} ({recipe.budget})" if system.trained else preset for preset, recipe in system.presets.items()
        ]
        yield name, f"presets: {', '.join(presets)}; settings: {', '.join(system.settings)}"


def _settings(names: list[str] | None) -> Iterator[tuple[str, str]]:
    from benchmarks.planning.generation_settings import available
    from benchmarks.planning.ignored_keys import keys_of
    from benchmarks.planning.overrides import covered, plain
    from benchmarks.planning.plan_file import leaves

    for name, system in _systems_named(names):
        for setting, values in available(system).items():
            pairs = ((key.removeprefix("."), value) for key, value in leaves("", plain(values)))
            ignored = keys_of(values, "")
            said = ", ".join(f"{key}={value}" for key, value in pairs if not covered(key, ignored))
            when = "" if setting in system.settings else "; run when named with --setting"
            yield f"{name}:{setting}", f"{said}{when}".removeprefix("; ")


def _metrics(source: str) -> Iterator[tuple[str, str]]:
    from benchmarks import metrics

    for entry in metrics.available(source):
        yield entry.metric, f"{metrics.find(entry.metric).summary} [{entry.evaluator if entry.works else entry.hint}]"


def _evaluators() -> Iterator[tuple[str, str]]:
    """Roles, who takes them, and whether that one is here."""
    from benchmarks import evaluators

    for role in evaluators.ROLES.values():
        here = "here" if evaluators.find(role.name) else "absent"
        yield f"evaluators.{role.name}", f"{role.summary}: {role.default} ({here})"


def _sources() -> Iterator[tuple[str, str]]:
    import dataclasses

    from benchmarks.data import source

    for name in source.names():
        options = source.find(name).Options()
        yield name, ", ".join(f"data.{f.name}={getattr(options, f.name)}" for f in dataclasses.fields(options))
