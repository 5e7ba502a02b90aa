"""Fields that recipes and settings have not always had. Standard library only."""

from __future__ import annotations

from dataclasses import Field, asdict, field, fields, is_dataclass
from types import MappingProxyType
from typing import Any

_LATER = MappingProxyType({"later": True})


def later(default: Any = None) -> Any:
    """The default of a field that recipes and settings have not always had: it means what they did without.

    Records, checkpoints and resume points do not hold it then (`fields_said`), so that those of before go on.
    """
    return field(default=default, metadata=_LATER)


def fields_said(config: Any) -> list[Field[Any]]:
    """The fields of a dataclass but for those of `later` that have their defaults."""
    return [
        part for part in fields(config) if not part.metadata.get("later") or getattr(config, part.name) != part.default
    ]


def identified(config: Any) -> dict[str, Any]:
    """`dataclasses.asdict` of what `fields_said` leaves, as hashes and checkpoints know a recipe."""
    values = asdict(config)
    named = {part.name: getattr(config, part.name) for part in fields_said(config)}
    return {name: identified(value) if is_dataclass(value) else values[name] for name, value in named.items()}
