"""From choices to cells: everything is decided and checked here, before any weight is loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines import catalogue
from baselines.contract import Budget, System, UserError, unknown
from benchmarks import tasks
from benchmarks.choices import GENERAL_KEYS, Choices
from benchmarks.data import source as sources
from benchmarks.data.source import Source
from benchmarks.options import convert, keys, override, plain
from benchmarks.records import Cell
from benchmarks.tasks import Task

DTYPE = "float32"
BATCH_SIZE = 25  # texts generated at once when throughput is timed, unless `--set batch_size` says otherwise


@dataclass(frozen=True)
class Contestant:
    """A system with everything about it decided. The budget is None for a floor, which trains nothing."""

    name: str
    system: type[System]
    preset: str
    recipe: Any
    budget: Budget | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class PlannedCell:
    """A cell and the Python values its JSON was made of."""

    cell: Cell
    contestant: Contestant
    setting: Any


@dataclass(frozen=True)
class Plan:
    """All cells of one command, and where they go."""

    task: Task
    source: Source
    folder: Path
    cells: tuple[PlannedCell, ...]
    choices: Choices


def default_folder(choices: Choices) -> Path:
    """Where a run goes, or is looked for, unless `--out` says otherwise."""
    if choices.out is not None:
        return Path(choices.out)
    task = tasks.find(choices.need_task())
    return Path("runs") / f"{task.name}-{choices.source or task.sources[0]}-{choices.preset}"


def make(choices: Choices, device: str) -> Plan:
    """Decide every cell.

    Args:
        device: a real device, as `benchmarks.environment.find_device` gives.

    Raises:
        UserError: an unknown name or key, or a value of the wrong type.
    """
    task, names, source_name = check_names(choices)
    source_class = sources.find(source_name)
    data = override(source_class.Options(), _part(choices.changes, "data"), "data")
    batch_size = convert(choices.changes.get("batch_size", BATCH_SIZE), int, "batch_size")
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, not {batch_size}.")
    contestants = [_contestant(name, choices) for name in names]
    if choices.steps and not any("steps" in _fields(s) for c in contestants for s in c.settings.values()):
        raise UserError("No system of this run generates in steps; leave out --steps.")
    cells: dict[str, PlannedCell] = {}
    for contestant in contestants:
        for seed in range(choices.seed, choices.seed + choices.seeds):
            for name, setting in with_steps(contestant.settings, choices.steps).items():
                cell = Cell(
                    task=task.name,
                    task_version=task.version,
                    source=source_name,
                    data={**plain(data), "version": source_class.version},
                    system=contestant.name,
                    preset=contestant.preset,
                    recipe=plain(contestant.recipe),
                    budget="none" if contestant.budget is None else str(contestant.budget),
                    setting=name,
                    setting_values=plain(setting),
                    limit=choices.limit,
                    batch_size=batch_size,
                    device=device,
                    dtype=DTYPE,
                    seed=seed,
                )
                cells.setdefault(cell.id, PlannedCell(cell, contestant, setting))
    return Plan(task, source_class(data), default_folder(choices), tuple(cells.values()), choices)


def check_names(choices: Choices) -> tuple[Task, tuple[str, ...], str]:
    """The task, the names of its systems with its floors, and the source; nothing heavy is imported.

    Raises:
        UserError: an unknown name, or a key of `--set` that no part of this run has.
    """
    task = tasks.find(choices.need_task())
    known = catalogue.names()
    for name in choices.system:
        if name not in known:
            raise unknown("system", name, known)
    names = tuple(dict.fromkeys((*(choices.system or task.systems), *task.floors)))
    source = choices.source or task.sources[0]
    if source not in sources.names():
        raise unknown("source", source, sources.names())
    heads = {"data", *GENERAL_KEYS, *names}
    for key in choices.changes:
        head, _, rest = key.partition(".")
        if head not in heads or bool(rest) == (head in GENERAL_KEYS):
            known_keys = [*GENERAL_KEYS, *keys(sources.find(source).Options(), "data.")]
            raise unknown("key of --set", key, [*known_keys, *(f"{n}.{part}" for n in names for part in _PARTS)])
    return task, names, source


_PARTS = ("recipe", "setting", "settings")


def _part(changes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The changes under a prefix, without it."""
    return {key.removeprefix(f"{prefix}."): value for key, value in changes.items() if key.startswith(f"{prefix}.")}


def _contestant(name: str, choices: Choices) -> Contestant:
    system = catalogue.find(name)
    preset = choices.preset if choices.preset in system.presets else "any"
    if preset not in system.presets:
        raise unknown(f"preset of {name}", choices.preset, system.presets)
    mine = _part(choices.changes, name)
    for key in mine:
        if key.partition(".")[0] not in _PARTS or "." not in key:
            raise unknown("key of --set", f"{name}.{key}", _keys(name, system, preset))
    recipe = system.presets[preset]
    if system.trained and "budget" in choices.changes:
        recipe = dataclasses.replace(recipe, budget=convert(choices.changes["budget"], Budget, "budget"))
    recipe = override(recipe, _part(mine, "recipe"), f"{name}.recipe")
    return Contestant(
        name, system, preset, recipe, recipe.budget if system.trained else None, _settings(name, system, mine)
    )


def _settings(name: str, system: type[System], mine: Mapping[str, Any]) -> dict[str, Any]:
    """The system's settings, changed by `NAME.setting.KEY` (wherever KEY is there) and `NAME.settings.SETTING.KEY`."""
    settings = dict(system.settings)
    for key, value in _part(mine, "setting").items():
        having = [n for n, setting in settings.items() if key.partition(".")[0] in _fields(setting)]
        if not having:
            known = {k for setting in settings.values() for k in keys(setting, f"{name}.setting.")}
            raise unknown("option", f"{name}.setting.{key}", known)
        settings |= {n: override(settings[n], {key: value}, f"{name}.setting") for n in having}
    for key, value in _part(mine, "settings").items():
        setting_name, _, rest = key.partition(".")
        if setting_name not in settings:
            raise unknown(f"setting of {name}", setting_name, settings)
        settings[setting_name] = override(settings[setting_name], {rest: value}, f"{name}.settings.{setting_name}")
    return settings


def with_steps(settings: Mapping[str, Any], steps: tuple[int, ...]) -> dict[str, Any]:
    """One setting for each number of steps, where a setting has steps at all."""
    if not steps:
        return dict(settings)
    out: dict[str, Any] = {}
    for name, setting in settings.items():
        if "steps" not in _fields(setting):
            out[name] = setting
            continue
        stem = name.removesuffix(f"-{setting.steps}")  # names like `ancestral-32` say their steps already
        for count in steps:
            named, made = f"{stem}-{count}", dataclasses.replace(setting, steps=count)
            if count == setting.steps:
                named = name
            elif settings.get(named) == made:
                continue  # that setting makes this very cell
            elif named in settings:
                named = f"{name}-{count}"
            out[named] = made
    return out


def _fields(instance: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(instance)}


def _keys(name: str, system: type[System], preset: str) -> list[str]:
    """Every key of `--set` for one system."""
    found = list(keys(system.presets[preset], f"{name}.recipe."))
    for setting_name, setting in system.settings.items():
        found += [*keys(setting, f"{name}.setting."), *keys(setting, f"{name}.settings.{setting_name}.")]
    return found


def unequal_budgets(plan: Plan) -> str | None:
    """A sentence where trained systems have unequal budgets, so that nobody takes them for equal; None where not."""
    budgets = {p.cell.system: p.cell.budget for p in plan.cells if p.contestant.budget is not None}
    if len(set(budgets.values())) < 2:
        return None
    return f"budgets are not equal: {', '.join(f'{name} {budget}' for name, budget in budgets.items())}"
