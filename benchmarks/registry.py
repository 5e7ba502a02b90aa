"""Names of things that are imported only when asked for. Standard library only."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines.contract import UserError, unknown


@dataclass(frozen=True)
class Registry:
    """Name -> "module:attribute": what is built in, and what other packages offer as entry points of `group`."""

    kind: str
    group: str
    built_in: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        """All names, built-in ones first."""
        return tuple(self._places())

    def find(self, name: str) -> Any:
        """Import what the name stands for.

        Raises:
            UserError: the name is unknown (the nearest ones are given) or cannot be imported.
        """
        places = self._places()
        if name not in places:
            raise unknown(self.kind, name, places)
        module, _, attribute = places[name].partition(":")
        if name in self.built_in:
            return getattr(importlib.import_module(module), attribute)
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"The {self.kind} '{name}' of another package cannot be loaded: {error}.") from error

    def _places(self) -> dict[str, str]:
        from importlib.metadata import entry_points  # a few milliseconds that `--help` need not pay

        outside = sorted((point.name, point.value) for point in entry_points(group=self.group))
        return {**self.built_in, **{name: target for name, target in outside if name not in self.built_in}}
