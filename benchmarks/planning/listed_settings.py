"""What a listing says of systems: presets, settings, and which of these run by default.

Of the built-in systems it is kept in `listed_settings.json`, so that a listing loads no framework; a test holds the
file to the systems. After a change of a system's presets or settings write it again:

    python -m benchmarks.planning.listed_settings
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path

from baselines import registry
from baselines.contract import System

FILE = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class ListedSystem:
    """A system in words.

    Attributes:
        presets: name -> budget, or nothing where a system is not trained.
        by_default: the settings that run when none is named.
        settings: name -> dotted key -> value, of those keys that have an effect.
    """

    presets: Mapping[str, str]
    by_default: Sequence[str]
    settings: Mapping[str, Mapping[str, str]]


def describe(system: type[System]) -> ListedSystem:
    """What a system says of itself."""
    from benchmarks.planning.generation_settings import available
    from benchmarks.planning.ignored_keys import keys_of
    from benchmarks.planning.overrides import covered, keys, plain

    presets = {name: str(recipe.budget) if system.trained else "" for name, recipe in system.presets.items()}
    settings = {}
    for name, values in available(system).items():
        ignored = keys_of(values, "")
        pairs = ((key, _shown(plain(attrgetter(key)(values)))) for key in keys(values))
        settings[name] = {key: value for key, value in pairs if not covered(key, ignored)}
    return ListedSystem(presets, list(system.settings), settings)


def _shown(value: object) -> str:
    """A value for people: six digits of a number."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(names: Sequence[str]) -> dict[str, ListedSystem]:
    """The systems named, in that order. Only those that are not built in are imported.

    Raises:
        UserError: an unknown name (`baselines.registry.Registry.find`).
    """
    kept = {name: ListedSystem(**row) for name, row in json.loads(FILE.read_text(encoding="utf-8")).items()}
    built_in = registry.SYSTEMS.built_in
    return {name: kept[name] if name in kept and name in built_in else describe(registry.find(name)) for name in names}


def text() -> str:
    """What the file should hold: one line for each preset table and each setting."""
    rows = {name: asdict(describe(registry.find(name))) for name in registry.SYSTEMS.built_in}
    systems = []
    for name, row in rows.items():
        settings = ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in row["settings"].items())
        systems.append(
            f' {json.dumps(name)}: {{\n  "presets": {json.dumps(row["presets"])},\n'
            f'  "by_default": {json.dumps(row["by_default"])},\n  "settings": {{\n{settings}\n  }}\n }}'
        )
    return "{\n" + ",\n".join(systems) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
