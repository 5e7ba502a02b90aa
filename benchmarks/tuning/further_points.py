"""Points beside the grid, from a file: the same for every system, and as many of its own for each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baselines import registry
from baselines.contract import UserError
from benchmarks.tuning.space import Point
from cosmos.io.typed_json import read_as

EVERY = "every"  # the table of the points that all systems are tried with


@dataclass(frozen=True)
class FurtherPoints:
    """What a file says.

    Attributes:
        every: points of the axes of the grid, which every system is tried with.
        own: system -> name of a candidate -> keys of the recipe without `SYSTEM.recipe.`, and their values.
    """

    every: Sequence[Point] = ()
    own: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    def check_equal(self, systems: Sequence[str]) -> None:
        """See that no system has more points of its own than another.

        Raises:
            UserError: one has; the sentence says how many each has.
        """
        counts = {system: len(self.own.get(system, {})) for system in systems}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{system} {count}" for system, count in counts.items())
            raise UserError(f"Every system needs as many points of its own as the others; here it is {told}.")


def read(path: Path) -> FurtherPoints:
    """Read a TOML file: a table `every` with `points`, and a table for each system with a table for each of its points.

    For example:

        [every]
        points = [{learning_rate = 2e-3, batch_size = 8, dropout = 0.1}]

        [gpt2]
        "more decay" = {"training.weight_decay" = 0.1}

    Raises:
        UserError: it cannot be read, is not TOML, or says something else.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}.") from None
    remedy = "see `python -m benchmarks tune --help`"
    every = tables.pop(EVERY, {})
    if not isinstance(every, dict) or set(every) - {"points"}:
        raise UserError(f"The table {EVERY} of {path} holds a list `points` and nothing else.")
    points = read_as(tuple[Point, ...], every.get("points", []), f"{EVERY}.points of {path}", remedy)
    for system, candidates in tables.items():
        registry.find(system)
        if not isinstance(candidates, dict) or not all(isinstance(keys, dict) and keys for keys in candidates.values()):
            raise UserError(f"The table {system} of {path} holds something that is not a table of keys of its recipe.")
    return FurtherPoints(points, tables)


NONE = FurtherPoints()
