"""From choices to cells: everything is decided and checked here, before any weight is loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from baselines import registry
from baselines.contract import Budget, DecidesTokenizer, Document, System, UserError, ValidatesSetting, unknown
from baselines.titles import setting_title, system_title
from benchmarks import tasks
from benchmarks.data import source as sources
from benchmarks.data.source import HasAuxiliaryTexts, Source
from benchmarks.planning import contents, generation_settings, shared_tokenizer
from benchmarks.planning.ignored_keys import change_recipe, keys_of, recipe_keys
from benchmarks.planning.overrides import convert, keys, override, plain
from benchmarks.planning.run_config import GENERAL_KEYS, Choices
from benchmarks.records.schema import Cell
from benchmarks.records.store import PLAN
from benchmarks.tasks import Task

DTYPES = ("float32", "bfloat16")
MOST_CELLS = 10_000  # of one run, whose report reads all of them
BEST: Literal["best"] = "best"  # in place of batch sizes: the fastest one is searched
MOST_SIZES = 100  # batch sizes whose speed is measured besides
BATCH_SIZE = 25  # texts generated at once when throughput is timed, unless `--set batch_size` says otherwise


@dataclass(frozen=True)
class Contestant:
    """A system with everything about it decided. The budget is None for a floor, which trains nothing.

    `method` and `external_weights` are what the system declares; headers keep them.
    """

    name: str
    system: type[System]
    preset: str
    recipe: Any
    budget: Budget | None
    settings: Mapping[str, Any]
    method: str
    external_weights: tuple[str, ...]

    def titles(self, cell: Cell) -> dict[str, str]:
        """What people call the system, and the setting of one of its cells."""
        declared = getattr(self.system, "title", None), getattr(self.system, "setting_titles", None)
        usual = plain(generation_settings.declared_as(self.system, cell.setting)) or {}
        return {
            "system": system_title(self.name, cell.recipe, declared[0]),
            "setting": setting_title(self.name, cell.setting, cell.setting_values, declared[1], usual),
        }


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


def open_source(choices: Choices, *, train: bool) -> Source:
    """The source of a run, once it has given its documents; asked first, for no framework is imported yet.

    Args:
        train: whether there must be something to learn from; a run that was begun may have learnt already.

    Raises:
        UserError: an unknown name or key, or a source that cannot be had or read or has no documents.
    """
    task, _, name = check_names(choices)
    source = _source(name, choices)
    check_given(source.load(task.name, "test", choices.limit), "test", name, task)
    if train and not (default_folder(choices) / PLAN).exists():
        check_given(source.load(task.name, "train", 1), "training", name, task)
        if isinstance(source, HasAuxiliaryTexts):
            source.passages(task.name)
    return source


def check_given(documents: Sequence[Document], kind: str, source: str, task: Task) -> None:
    """Raise `UserError` if a source has no documents of a kind."""
    if not documents:
        raise UserError(f"The source {source} has no {kind} documents for {task.name}; choose another with --source.")


def _source(name: str, choices: Choices) -> Source:
    source_class = sources.find(name)
    return source_class(override(source_class.Options(), _part(choices.changes, "data"), "data"))


def make(choices: Choices, device: str, source: Source | None = None) -> Plan:
    """Decide every cell.

    Args:
        device: a real device, as `benchmarks.records.environment.find_device` gives.
        source: what `open_source` gave for the same choices, if it was asked.

    Raises:
        UserError: an unknown name or key, a value of the wrong type, or a recipe or setting that its system refuses.
    """
    task, names, source_name = check_names(choices)
    source_class = sources.find(source_name)
    data = override(source_class.Options(), _part(choices.changes, "data"), "data")
    batch_size = convert(choices.changes.get("batch_size", BATCH_SIZE), int, "batch_size")
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, not {batch_size}.")
    sweep = _sweep_sizes(choices)
    dtype = str(choices.changes.get("dtype", "bfloat16" if device.startswith("cuda") else "float32"))
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    contestants = [_contestant(name, choices, task) for name in names]
    if all(contestant.preset == "any" for contestant in contestants):
        _check_preset(choices.preset)
    generation_settings.check_names(choices.setting, (contestant.system for contestant in contestants))
    for contestant in contestants:
        _check(contestant, task, choices.steps)
    if choices.steps and not any(
        "steps" in generation_settings.fields(s) for c in contestants for s in c.settings.values()
    ):
        raise UserError("No system of this run generates in steps; leave out --steps.")
    opened = source or source_class(data)
    texts_read = contents.of_source(opened, task.name)
    tokenizer = shared_tokenizer.choose(
        {c.name: (c.system, c.recipe) for c in contestants}, task.systems, choices.preset
    )
    asked = choices.seeds * sum(len(generation_settings.with_steps(c.settings, choices.steps)) for c in contestants)
    if asked > MOST_CELLS:
        raise UserError(
            f"This would be a run of {asked} cells, and one holds at most {MOST_CELLS}; ask for fewer with --seeds, "
            "--steps, --setting or --system."
        )
    cells: dict[str, PlannedCell] = {}
    for contestant in contestants:
        weights_read = contents.of_recipe(plain(contestant.recipe), contestant.external_weights)
        for seed in range(choices.seed, choices.seed + choices.seeds):
            for name, setting in generation_settings.with_steps(contestant.settings, choices.steps).items():
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
                    dtype=dtype,
                    seed=seed,
                    sweep=sweep,
                    contents={**texts_read, **weights_read},
                    tokenizer=tokenizer,
                    devices=choices.devices,
                )
                cells.setdefault(cell.id, PlannedCell(cell, contestant, setting))
    return Plan(task, opened, default_folder(choices), tuple(cells.values()), choices)


def _check_preset(preset: str) -> None:
    """Raise `UserError` for a preset that no system has; floors take every name that another system could have."""
    known = registry.find("cosmos").presets
    if preset not in known:
        raise unknown("preset", preset, known)


def _sweep_sizes(choices: Choices) -> tuple[int, ...] | Literal["best"]:
    """The further batch sizes whose speed is measured."""
    if choices.changes.get("sweep") == BEST:
        return BEST
    try:
        sizes = convert(choices.changes.get("sweep", ()), tuple[int, ...], "sweep")
    except UserError as error:
        raise UserError(f"{str(error).removesuffix('.')}; or {BEST!r}, to search the fastest number.") from None
    if any(size < 1 for size in sizes):
        raise UserError(f"sweep must hold numbers of texts of at least 1, not {min(sizes)}.")
    if len(sizes) > MOST_SIZES:
        raise UserError(f"sweep holds {len(sizes)} numbers of texts; name at most {MOST_SIZES}.")
    return tuple(dict.fromkeys(sizes))


def check_names(choices: Choices) -> tuple[Task, tuple[str, ...], str]:
    """The task, the names of its systems with its floors, and the source; nothing heavy is imported.

    Raises:
        UserError: an unknown name, or a key of `--set` that no part of this run has.
    """
    from benchmarks.metrics.core import selection  # not at the top: what trains and times imports no metric

    task = tasks.find(choices.need_task())
    for name in choices.system:
        if not registry.has(name):
            raise unknown("system", name, registry.names())
    names = tuple(dict.fromkeys((*(choices.system or task.systems), *task.floors)))
    generation_settings.check_words(choices.setting, names)
    source = choices.source or task.sources[0]
    if source not in sources.names():
        raise unknown("source", source, sources.names())
    selection.check_words(choices.metric)
    selection.chosen_evaluators(choices.changes)
    heads = {"data", selection.PREFIX, *GENERAL_KEYS, *names}
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


def _contestant(name: str, choices: Choices, task: Task) -> Contestant:
    system = registry.find(name)
    preset = choices.preset if choices.preset in system.presets else "any"
    if preset not in system.presets:
        raise unknown(f"preset of {name}", choices.preset, system.presets)
    mine = _part(choices.changes, name)
    for key in mine:
        if key.partition(".")[0] not in _PARTS or "." not in key:
            raise unknown("key of --set", f"{name}.{key}", _keys(name, system, preset, task))
    recipe = system.presets[preset]
    if system.trained and "budget" in choices.changes:
        recipe = dataclasses.replace(recipe, budget=convert(choices.changes["budget"], Budget, "budget"))
    recipe = change_recipe(name, system, recipe, _part(mine, "recipe"), task.limits)
    run_settings = generation_settings.choose(name, system, choices.setting, task.conditional)
    if "capture" in choices.changes:
        having = {n: setting for n, setting in run_settings.items() if "capture" in generation_settings.fields(setting)}
        run_settings |= {n: override(s, {"capture": choices.changes["capture"]}, "") for n, s in having.items()}
    run_settings = generation_settings.change(name, system, run_settings, mine, choices.steps)
    return Contestant(
        name,
        system,
        preset,
        recipe,
        recipe.budget if system.trained else None,
        run_settings,
        getattr(system, "method", name),
        _external_weights(name, system, recipe),
    )


def _external_weights(name: str, system: type[System], recipe: Any) -> tuple[str, ...]:
    """The names that a system declares.

    Raises:
        UserError: it says something else than names.
    """
    names = system.external_weights(recipe)
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not all(isinstance(said, str) and said for said in names):
        raise UserError(f"external_weights of the system '{name}' must return names, such as ('gpt2',), not {names!r}.")
    return tuple(names)


def _check(contestant: Contestant, task: Task, steps: tuple[int, ...]) -> None:
    """Raise `UserError` if a recipe cannot be of its system, or the system has nothing for a setting."""
    try:
        system = contestant.system(contestant.recipe, task.limits)
    except UserError:
        raise
    except Exception:  # a fault of the system, which its cells will meet again and be marked with
        return
    if isinstance(system, DecidesTokenizer):
        system.shared_tokenizer(contestant.recipe)  # a folder that is no model is no setting's fault
    if isinstance(system, ValidatesSetting):
        for name, setting in generation_settings.with_steps(contestant.settings, steps).items():
            try:
                system.check_setting(setting)
            except UserError as error:
                raise UserError(f"The setting {name} of {contestant.name} cannot be run. {error}") from error


def _keys(name: str, system: type[System], preset: str, task: Task) -> list[str]:
    """Every key of `--set` for one system that has an effect."""
    recipe, prefix = system.presets[preset], f"{name}.recipe."
    every = list(keys(recipe, prefix, recipe_keys(system, recipe, task.limits, prefix)))
    for setting_name, setting in generation_settings.available(system).items():
        for prefix in (f"{name}.setting.", f"{name}.settings.{setting_name}."):
            every += keys(setting, prefix, keys_of(setting, prefix))
    return every


def unequal_budgets(plan: Plan) -> str | None:
    """A sentence where trained systems have unequal budgets, so that nobody takes them for equal; None where not."""
    budgets = {p.cell.system: p.cell.budget for p in plan.cells if p.contestant.budget is not None}
    if len(set(budgets.values())) < 2:
        return None
    return f"budgets are not equal: {', '.join(f'{name} {budget}' for name, budget in budgets.items())}"
