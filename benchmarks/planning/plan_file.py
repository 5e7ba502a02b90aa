"""What plan.json says, and what may change when a run is taken up again."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines import registry
from baselines.contract import UserError
from benchmarks.planning import generation_settings, shared_tokenizer
from benchmarks.planning.overrides import plain
from benchmarks.planning.plan import BEST, Plan
from benchmarks.planning.run_config import Choices, as_flags
from benchmarks.records.schema import Cell, Json


def describe(plan: Plan) -> Json:
    """The plan as it is stored: what any reader of the run needs to know without importing a system."""
    from benchmarks.metrics.core.selection import chosen_evaluators

    first = plan.cells[0].cell
    systems: dict[str, Any] = {}
    for planned in plan.cells:
        cell = planned.cell
        system = systems.setdefault(
            cell.system, {"preset": cell.preset, "recipe": cell.recipe, "budget": cell.budget, "settings": {}}
        )
        system["settings"][cell.setting] = cell.setting_values
    return {
        "commands": [command_of(plan.choices)],
        "task": plain(plan.task),
        "source": first.source,
        "preset": plan.choices.preset,
        "data": first.data,
        "limit": first.limit,
        "batch_size": first.batch_size,
        "sweep": first.sweep if first.sweep == BEST else list(first.sweep),
        "device": first.device,
        "dtype": first.dtype,
        "contents": {key: content for planned in plan.cells for key, content in named_contents(planned.cell).items()},
        "tokenizer": first.tokenizer,
        "evaluators": chosen_evaluators(plan.choices.changes),
        "systems": systems,
        "cells": [planned.cell.id for planned in plan.cells],
    }


def join(old: Json | None, new: Json, folder: Path) -> Json:
    """The plan of a run that is taken up again: more systems, settings and seeds may come, nothing may change.

    Raises:
        UserError: something else was chosen than before; the message says what, and both values.
    """
    if old is None:
        return new
    before, now = dict(stored_choices(old)), dict(stored_choices(new))
    check_contents(old, new, f"since the run in {folder} was made; choose another folder with --out")
    both = [name for name in new["systems"] if name in old["systems"]]
    for key in dict.fromkeys((*before, *now)):
        shared = key in before and key in now
        head, _, rest = key.partition(".")
        lost = not shared and head in both and not rest.startswith("settings.")
        if lost or (shared and before[key] != now[key]):
            raise UserError(
                f"The run in {folder} was made with {_said(key, before)}, and this command says {_said(key, now)}: "
                f"go on with {_flag(key, before)}, or choose another folder with --out."
            )
    return put_together(old, new)


def put_together(old: Json, new: Json) -> Json:
    """The plan of two that asked the same: the systems, settings, cells and commands of both."""
    systems = {**old["systems"]}
    for name, system in new["systems"].items():
        earlier = systems.get(name, system)
        systems[name] = {**earlier, "settings": {**earlier["settings"], **system["settings"]}}
    cells = list(dict.fromkeys((*old["cells"], *new["cells"])))
    commands = list(dict.fromkeys((*old.get("commands", ()), *new.get("commands", ()))))
    evaluators = {**old.get("evaluators", {}), **new.get("evaluators", {})}
    merged = {"commands": commands, "evaluators": evaluators, "systems": systems, "cells": cells}
    return {**old, **new, **merged, "contents": {**old.get("contents", {}), **new.get("contents", {})}}


def named_contents(cell: Cell) -> dict[str, str]:
    """The contents of files and folders by the keys that name them in `--set`."""
    return {
        key if key.startswith("data.") else f"{cell.system}.{key}": content for key, content in cell.contents.items()
    }


def check_contents(old: Json, new: Json, when: str) -> None:
    """See that files and folders that two plans name hold the same.

    Raises:
        UserError: one does not; `when` ends the sentence.
    """
    before, now = old.get("contents", {}), new.get("contents", {})
    both = {"data", *(old["systems"].keys() & new["systems"].keys())}
    for key in dict.fromkeys((*before, *now)):
        if key.partition(".")[0] in both and before.get(key) != now.get(key):
            raise UserError(f"What lies in the place that {key} names changed {when}.")


def command_of(choices: Choices) -> str:
    """The command that makes these choices; what a file said is written out."""
    return shlex.join(["python", "-m", "benchmarks", "run", *as_flags(choices)])


def stored_choices(plan: Json) -> list[tuple[str, Any]]:
    """The stored choices under the keys the user knows them by."""
    task = plan["task"]
    pairs: list[tuple[str, Any]] = [("task", task.get("name")), ("task.version", task.get("version"))]
    pairs += [(key, plan[key]) for key in ("source", "preset", "limit", "device", "dtype", "batch_size")]
    pairs += [("sweep", plan.get("sweep", []))]
    pairs += leaves("data", plan["data"])
    for name, system in plan["systems"].items():
        pairs += leaves(f"{name}.recipe", system["recipe"])
        for setting, values in system["settings"].items():
            pairs += leaves(f"{name}.settings.{setting}", values)
    return [*pairs, ("tokenizer", plan.get("tokenizer"))]


def leaves(prefix: str, value: Any) -> list[tuple[str, Any]]:
    """The leaves of nested JSON objects, with dotted keys."""
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [pair for key, part in value.items() for pair in leaves(f"{prefix}.{key}", part)]


def _said(key: str, values: Mapping[str, Any]) -> str:
    return f"{key} = {_word(values[key])}" if key in values else f"no {key}"


def _word(value: Any) -> str:
    return (
        ",".join(map(str, value))
        if isinstance(value, list)
        else str(value).lower()
        if value in (True, False, None)
        else str(value)
    )


def _flag(key: str, before: Mapping[str, Any]) -> str:
    if key in ("task", "source", "preset", "limit", "device"):
        return f"no --{key}" if before[key] is None else f"--{key} {before[key]}"
    if key == "tokenizer":
        return f"systems whose text encoder is {before[key] or 'the packaged one'}"
    if key not in before or key in ("task.version", "data.version", "dtype"):
        return "the command and the version of cosmos-bench that made it"
    return f"--set {key}={_word(before[key])}"


def command_of_cell(plan: Plan, cell: Cell) -> str:
    """The command that makes a cell again."""
    from benchmarks.metrics.core import selection

    choices = plan.choices
    deciding = shared_tokenizer.decided_by(choices.changes, cell.system)
    prefixes = ("data.", f"{selection.PREFIX}.", f"{cell.system}.")
    changes = {k: v for k, v in choices.changes.items() if "." not in k or k.startswith(prefixes) or k in deciding}
    systems = (cell.system, *dict.fromkeys(key.partition(".")[0] for key in deciding))
    named = generation_settings.words_for(cell.system, registry.find(cell.system), choices.setting)
    alone: Choices = dataclasses.replace(
        choices, system=systems, setting=named, seed=cell.seed, seeds=1, changes=changes
    )
    return command_of(alone)
