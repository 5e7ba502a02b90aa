"""Names of things that are imported only when asked for. Standard library only."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from baselines.contract import UserError, unknown


@dataclass(frozen=True)
class Registry:
    """Name -> "module:attribute": what is built in, and what other packages offer as entry points of `group`.

    Attributes:
        fault: what is wrong with something from outside, as the end of a sentence; None where it can be used.
    """

    kind: str
    group: str
    built_in: Mapping[str, str]
    fault: Callable[[Any], str | None]

    def names(self) -> tuple[str, ...]:
        """All names, built-in ones first.

        Raises:
            UserError: another package takes a name that is taken.
        """
        return tuple(self._places())

    def find(self, name: str) -> Any:
        """Import what the name stands for.

        Raises:
            UserError: the name is unknown (the nearest ones are given) or taken twice, cannot be imported, or stands
                for something else.
        """
        places = self._places()
        if name not in places:
            raise unknown(self.kind, name, places)
        module, _, attribute = places[name].partition(":")
        if name in self.built_in:
            return getattr(importlib.import_module(module), attribute)
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"The {self.kind} '{name}' of another package cannot be loaded: {error}.") from error
        fault = self.fault(found)
        if fault is not None:
            raise UserError(f"The {self.kind} '{name}' of another package cannot be used: {places[name]} {fault}.")
        return found

    def _places(self) -> dict[str, str]:
        from importlib.metadata import entry_points  # a few milliseconds that `--help` need not pay

        places = dict(self.built_in)
        for name, target in sorted({(point.name, point.value) for point in entry_points(group=self.group)}):
            if name in places:
                raise UserError(
                    f"The {self.kind} '{name}' of another package, {target}, has a name that is taken by "
                    f"{places[name]}; uninstall that package or rename its entry point."
                )
            places[name] = target
        return places
