"""What plan.json says, and what may change when a run is taken up again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.planning.overrides import plain
from benchmarks.planning.plan import Plan
from benchmarks.planning.run_config import Choices, as_flags
from benchmarks.records.schema import Json


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
        "sweep": list(first.sweep),
        "device": first.device,
        "dtype": first.dtype,
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
    before, now = dict(_stored_choices(old)), dict(_stored_choices(new))
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
    systems = {**old["systems"]}
    for name, system in new["systems"].items():
        earlier = systems.get(name, system)
        systems[name] = {**earlier, "settings": {**earlier["settings"], **system["settings"]}}
    cells = list(dict.fromkeys((*old["cells"], *new["cells"])))
    commands = list(dict.fromkeys((*old.get("commands", ()), *new["commands"])))
    evaluators = {**old.get("evaluators", {}), **new["evaluators"]}
    return {**old, **new, "commands": commands, "evaluators": evaluators, "systems": systems, "cells": cells}


def command_of(choices: Choices) -> str:
    """The command that makes these choices; what a file said is written out."""
    return shlex.join(["python", "-m", "benchmarks", "run", *as_flags(choices)])


def _stored_choices(plan: Json) -> list[tuple[str, Any]]:
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
    return pairs


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
    if key not in before or key in ("task.version", "data.version", "dtype"):
        return "the version of cosmos-bench that made it"
    return f"--set {key}={_word(before[key])}"
