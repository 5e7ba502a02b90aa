"""Keys of `--set` that have no effect: collected from whoever declares them, and refused. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from baselines.contract import DeclaresIgnoredKeys, Limits, System, UserError
from benchmarks.planning.overrides import covered, is_nested, override


def keys_of(instance: Any, prefix: str) -> dict[str, str]:
    """What a dataclass instance and those within it declare: dotted key, or part of all its keys -> why."""
    reasons = _declared(instance, prefix)
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if is_nested(value):
            reasons |= keys_of(value, f"{prefix}{field.name}.")
    return reasons


def recipe_keys(system: type[System], recipe: Any, limits: Limits, prefix: str) -> dict[str, str]:
    """What a recipe and a system of that recipe declare, as `keys_of` gives it."""
    reasons = keys_of(recipe, prefix)
    if not hasattr(system, "ignored_keys"):
        return reasons
    try:
        instance = system(recipe, limits)
    except UserError:  # what is wrong with the recipe is said when the plan is checked
        return reasons
    return reasons | _declared(instance, prefix)


def refuse(asked: Iterable[str], ignored: Mapping[str, str]) -> None:
    """Raise `UserError` for the first of the given keys that has no effect."""
    for key in asked:
        for path, why in ignored.items():
            if covered(key, (path,)):
                raise UserError(f"{key} has no effect: {why}.")


def change_recipe(name: str, system: type[System], recipe: Any, changes: Mapping[str, Any], limits: Limits) -> Any:
    """A recipe changed by the keys of `--set` that follow `SYSTEM.recipe.`.

    Raises:
        UserError: a key that is not there or has no effect, or a value that does not fit.
    """
    prefix = f"{name}.recipe."
    changed = override(recipe, changes, f"{name}.recipe", recipe_keys(system, recipe, limits, prefix))
    refuse((prefix + key for key in changes), recipe_keys(system, changed, limits, prefix))
    return changed


def _declared(declares: Any, prefix: str) -> dict[str, str]:
    if not isinstance(declares, DeclaresIgnoredKeys):
        return {}
    return {prefix + key: why.replace("{}", prefix) for key, why in declares.ignored_keys().items()}
