"""Fields that recipes have not always had. Standard library only."""

from __future__ import annotations

from dataclasses import Field, asdict, field, fields, is_dataclass
from types import MappingProxyType
from typing import Any

_LATER = MappingProxyType({"later": True})


def later() -> Any:
    """The default None of a field that recipes have not always had: there it means what they did without.

    Records, checkpoints and resume points do not hold it then (`fields_said`), so that those of before go on.
    """
    return field(default=None, metadata=_LATER)


def fields_said(config: Any) -> list[Field[Any]]:
    """The fields of a dataclass but for those of `later` that are None."""
    return [part for part in fields(config) if not part.metadata.get("later") or getattr(config, part.name) is not None]


def identified(config: Any) -> dict[str, Any]:
    """`dataclasses.asdict` of what `fields_said` leaves, as hashes and checkpoints know a recipe."""
    values = asdict(config)
    named = {part.name: getattr(config, part.name) for part in fields_said(config)}
    return {name: identified(value) if is_dataclass(value) else values[name] for name, value in named.items()}
