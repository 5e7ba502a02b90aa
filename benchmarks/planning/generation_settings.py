"""Which settings of a system are run: its own by default, those a command names, each as the command changes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from baselines.contract import DeclaresOneText, System, UserError, unknown
from benchmarks.planning.ignored_keys import keys_of, refuse
from benchmarks.planning.overrides import covered, keys, override


def available(system: type[System]) -> dict[str, Any]:
    """All settings of a system: those run by default, then those run when they are named."""
    return {**system.settings, **getattr(system, "other_settings", {})}


def declared_as(system: type[System], name: str) -> Any | None:
    """What a system declares under the name of a setting, or under that with another number of steps."""
    own = available(system)
    if name in own:
        return own[name]
    stem, _, count = name.rpartition("-")
    stems = {known.removesuffix(f"-{getattr(s, 'steps', None)}"): s for known, s in own.items() if hasattr(s, "steps")}
    return (own.get(stem) or stems.get(stem)) if count.isdigit() else None


def check_words(words: Sequence[str], systems: Sequence[str]) -> None:
    """See that what stands before a colon is a system of the run.

    Raises:
        UserError: it is not.
    """
    for word in words:
        system, colon, _ = word.partition(":")
        if colon and system not in systems:
            raise unknown("system of --setting", system, systems)


def check_names(words: Sequence[str], systems: Iterable[type[System]]) -> None:
    """See that every setting that is named without a system is one of some system of the run.

    Raises:
        UserError: no system has it.
    """
    names = {name for system in systems for name in available(system)}
    for word in words:
        if ":" not in word and word not in names:
            raise unknown("setting", word, names)


def words_for(name: str, system: type[System], words: Sequence[str]) -> tuple[str, ...]:
    """The words of `--setting` that concern one system."""
    own = available(system)
    return tuple(word for word in words if word.startswith(f"{name}:") or (":" not in word and word in own))


def choose(name: str, system: type[System], words: Sequence[str], conditional: bool) -> dict[str, Any]:
    """The settings named for a system, in that order; where none is, those it runs by default.

    Args:
        words: `SETTING`, for every system that has it, or `SYSTEM:SETTING`.
        conditional: whether there are sources; without, no default has one text for all seeds, if another is there.

    Raises:
        UserError: the system has no such setting.
    """
    own = available(system)
    named = {}
    for word in words_for(name, system, words):
        setting = word.removeprefix(f"{name}:")
        if setting not in own:
            raise unknown(f"setting of {name}", setting, own)
        named[setting] = own[setting]
    if named or conditional:
        return named or dict(system.settings)
    varied = {n: s for n, s in system.settings.items() if not (isinstance(s, DeclaresOneText) and s.one_text)}
    return varied or dict(system.settings)


def change(
    name: str,
    system: type[System],
    settings: Mapping[str, Any],
    changes: Mapping[str, Any],
    steps: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Settings changed by `setting.KEY` (wherever KEY is there and has an effect) and `settings.SETTING.KEY`.

    A setting whose name says its number of steps gets a name that says the new one.

    Args:
        steps: numbers of steps that come in place of the settings' own.

    Raises:
        UserError: a setting or key that is not there or has no effect, or a value that does not fit.
    """
    changed = dict(settings)
    places: dict[str, list[str]] = {}  # key -> the settings that it changes
    for key, value in changes.items():
        part, _, rest = key.partition(".")
        if part == "setting":
            having = [n for n, setting in changed.items() if rest.partition(".")[0] in fields(setting)]
            if not having:
                options = {
                    k
                    for setting in changed.values()
                    for k in keys(setting, f"{name}.setting.", keys_of(setting, f"{name}.setting."))
                }
                raise unknown("option", f"{name}.setting.{rest}", options)
            changed |= {n: override(changed[n], {rest: value}, f"{name}.setting") for n in having}
            places[key] = having
        elif part == "settings":
            # A name may hold dots, as "nucleus-0.9" does.
            setting = next((n for n in available(system) if rest.startswith(f"{n}.")), rest.partition(".")[0])
            inner = rest.removeprefix(f"{setting}.")
            if setting not in changed:
                if setting in available(system):
                    raise UserError(f"The setting {setting} of {name} is not run; add --setting {name}:{setting}.")
                raise unknown(f"setting of {name}", setting, available(system))
            where = f"{name}.settings.{setting}"
            changed[setting] = override(changed[setting], {inner: value}, where, keys_of(changed[setting], f"{where}."))
            places[key] = [setting]
    for key, having in places.items():
        if steps and key.endswith(".steps"):
            raise UserError(f"{name}.{key} has no effect: --steps says how many; leave out one of the two.")
        prefix = f"{name}.setting." if key.startswith("setting.") else f"{name}.settings.{having[0]}."
        ignored = {n: _always_ignored(changed[n], steps, prefix) for n in having}
        idle = [n for n in having if covered(f"{name}.{key}", ignored[n])]
        if len(idle) == len(having):
            refuse([f"{name}.{key}"], ignored[idle[0]])
        inner = f"{name}.{key}".removeprefix(prefix)
        changed |= {n: _with_value_of(changed[n], settings[n], inner) for n in idle}
    return _renamed(settings, changed)


def _always_ignored(setting: Any, steps: tuple[int, ...], prefix: str) -> dict[str, str]:
    """The keys that have no effect in a setting, whichever of the numbers of steps it is run with, and why."""
    runs = [keys_of(run, prefix) for run in with_steps({"": setting}, steps).values()]
    return {key: why for key, why in runs[0].items() if all(key in run for run in runs)}


def _with_value_of(setting: Any, other: Any, key: str) -> Any:
    """The setting with one value, under a dotted key, taken from another."""
    head, _, rest = key.partition(".")
    value = getattr(other, head)
    if rest:
        value = _with_value_of(getattr(setting, head), value, rest)
    return dataclasses.replace(setting, **{head: value})


def _renamed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, each under a name that is true of it."""
    out: dict[str, Any] = {}
    for name, setting in after.items():
        steps = getattr(before[name], "steps", None)
        named = name
        if steps is not None and setting.steps != steps and name.endswith(f"-{steps}"):
            named = f"{name.removesuffix(f'-{steps}')}-{setting.steps}"
            if after.get(named) == setting:
                continue  # that setting makes this very cell
            if named in after:
                named = f"{name}-{setting.steps}"
        out[named] = setting
    return out


def with_steps(settings: Mapping[str, Any], steps: tuple[int, ...]) -> dict[str, Any]:
    """One setting for each number of steps, where a setting has steps at all."""
    if not steps:
        return dict(settings)
    out: dict[str, Any] = {}
    for name, setting in settings.items():
        if "steps" not in fields(setting):
            out[name] = setting
            continue
        stem = name.removesuffix(f"-{setting.steps}")  # names like `ancestral-32` say their steps already
        for count in steps:
            named, changed = f"{stem}-{count}", dataclasses.replace(setting, steps=count)
            if count == setting.steps:
                named = name
            elif settings.get(named) == changed:
                continue  # that setting makes this very cell
            elif named in settings:
                named = f"{name}-{count}"
            out[named] = changed
    return out


def fields(instance: Any) -> set[str]:
    """The names of a dataclass instance's fields."""
    return {field.name for field in dataclasses.fields(instance)}
