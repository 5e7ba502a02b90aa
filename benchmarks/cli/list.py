"""Name the tasks, systems, presets, settings, metrics, evaluators or sources there are.

examples:
  python -m benchmarks list systems
  python -m benchmarks list settings --system cosmos
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from baselines.contract import unknown
from benchmarks.cli.flags import BenchmarksParser, add_flags, program, source_of
from cosmos.io.terminal import say

if TYPE_CHECKING:
    from benchmarks.planning.listed_settings import ListedSystem

WHAT = {
    "tasks": "what is asked",
    "systems": "the contestants, and what each is",
    "presets": "sizes and training recipes of each system, with their budgets",
    "settings": "how each trained system generates; --system NAME for one",
    "metrics": "what texts are scored by, and whether it can be had here",
    "evaluators": "models that judge, and whether they are here",
    "sources": "where texts come from, with the options of each",
}


def add_arguments(parser: BenchmarksParser) -> None:
    parser.add_argument("what", metavar="WHAT", nargs="?", help=f"{' | '.join(WHAT)} (default: say what these are)")
    add_flags(parser, "system", "source")


def main(arguments: argparse.Namespace) -> int:
    if arguments.what is None:
        _say_rows(WHAT.items())
        say(f"\nexample: {program()} list settings --system cosmos")
        return 0
    if arguments.what not in WHAT:
        raise unknown("list", arguments.what, WHAT)
    if arguments.what == "settings":
        _settings(arguments.system)
        return 0
    rows = {
        "tasks": _tasks,
        "systems": _systems,
        "presets": lambda: _presets(arguments.system),
        "metrics": lambda: _metrics(source_of(arguments.source)),
        "evaluators": _evaluators,
        "sources": _sources,
    }[arguments.what]()
    _say_rows(rows)
    return 0


def _say_rows(rows: Iterable[tuple[str, str]]) -> None:
    """A name and what it is, a line each."""
    listed = list(rows)
    width = max(16, *(len(name) + 2 for name, _ in listed)) if listed else 16
    for name, text in listed:
        say(f"{name:{width}}{text}".rstrip())


def _say_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as what stands in them."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        say("  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)).rstrip())


def _tasks() -> Iterator[tuple[str, str]]:
    from benchmarks import tasks

    for name in tasks.names():
        yield name, tasks.find(name).title


def _systems() -> Iterator[tuple[str, str]]:
    from baselines import registry

    for name in registry.names():
        yield name, registry.SYSTEMS.summary(name)
    for family in registry.SYSTEMS.families:
        yield family.form, family.summary


def _systems_named(names: list[str] | None) -> dict[str, ListedSystem]:
    """The systems named, or all of them."""
    from baselines import registry
    from benchmarks.planning.listed_settings import listed

    return listed([name for part in names or () for name in part.split(",")] or registry.names())


def _presets(names: list[str] | None) -> Iterator[tuple[str, str]]:
    for name, system in _systems_named(names).items():
        presets = [f"{preset} ({budget})" if budget else preset for preset, budget in system.presets.items()]
        yield name, f"presets: {', '.join(presets)}; settings: {', '.join(system.by_default)}"


def _settings(names: list[str] | None) -> None:
    """A table for each group of systems that have the same settings: a column for each key in which these differ."""
    groups: dict[str, list[str]] = {}
    systems = _systems_named(names)
    for name, system in systems.items():
        groups.setdefault(repr((system.by_default, system.settings)), []).append(name)
    say("A setting is how a trained system generates; the number in its name is of its steps, its beams, or its top_p.")
    say("Settings marked * run by default, the others when --setting names them; -: a setting has no use for the key.")
    for group in groups.values():
        system = systems[group[0]]
        keys = list(dict.fromkeys(key for values in system.settings.values() for key in values))
        rows = {name: [values.get(key, "-") for key in keys] for name, values in system.settings.items()}
        columns = dict(zip(keys, zip(*rows.values(), strict=True), strict=True))
        same = {key: column[0] for key, column in columns.items() if len(set(column)) == 1}
        shown = [key for key in keys if key not in same]
        say(f"\n{', '.join(group)}" + "".join(f"; {key}={value}" for key, value in same.items()))
        _say_table(
            ["  setting", *shown],
            [
                [f"{'*' if name in system.by_default else ' '} {name}", *(values.get(key, "-") for key in shown)]
                for name, values in system.settings.items()
            ],
        )


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
        keys = ", ".join(f"data.{f.name}={getattr(options, f.name)}" for f in dataclasses.fields(options))
        yield name, f"{source.summary(name)}: {keys}"
