"""What is tried: learning rate, batch size and dropout, on one grid for every system. Standard library only."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from baselines.contract import Limits, System, UserError
from benchmarks.planning.ignored_keys import recipe_keys
from benchmarks.planning.overrides import covered, is_nested
from cosmos.io.errors import check_range

AXES = ("learning_rate", "batch_size", "dropout")
_MOST_TRIALS = 1000  # of one system
_OF_TRAINING = {"learning_rate", "final_learning_rate", "batch_size"}  # fields by which a part of a recipe is one
_KEPT = ("distillation",)  # parts of recipes that are refined by themselves, after what is tuned


@dataclass(frozen=True)
class Point:
    """One point of the grid."""

    learning_rate: float
    batch_size: int
    dropout: float

    @property
    def name(self) -> str:
        return f"lr{self.learning_rate:g}-batch{self.batch_size}-dropout{self.dropout:g}"


@dataclass(frozen=True)
class TrialGrid:
    """The values of each axis, and how the best points are compared once more.

    Attributes:
        finalists: how many of the points with the best first score are trained with the other seeds too.
        seeds: with how many seeds those are trained, the first among them.
    """

    learning_rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3, 8e-3)
    batch_sizes: tuple[int, ...] = (8, 16, 32)
    dropouts: tuple[float, ...] = (0.0, 0.1)
    finalists: int = 3
    seeds: int = 3

    def __post_init__(self) -> None:
        for name, values, low, high in (
            ("learning rates", self.learning_rates, 1e-12, 10.0),
            ("batch sizes", self.batch_sizes, 1, 1_000_000),
            ("dropouts", self.dropouts, 0.0, 0.99),
        ):
            if not values:
                raise UserError(f"There are no {name} to try.")
            for value in values:
                check_range(f"One of the {name}", value, low, high)
        check_range("The finalists", self.finalists, 1, _MOST_TRIALS)
        check_range("The seeds", self.seeds, 1, 100)
        if len(self.points) > _MOST_TRIALS:
            raise UserError(f"The grid has {len(self.points)} points; at most {_MOST_TRIALS} are tried.")

    @property
    def points(self) -> list[Point]:
        return list(itertools.starmap(Point, itertools.product(self.learning_rates, self.batch_sizes, self.dropouts)))


def changes(name: str, system: type[System], recipe: Any, limits: Limits, point: Point) -> dict[str, Any]:
    """The keys of `--set`, without `SYSTEM.recipe.`, that bring a recipe to a point of the grid.

    Every training of the recipe takes the learning rate (a constant one stays constant) and the batch size, every
    network that has a dropout takes that. Keys without effect are left out.

    Raises:
        UserError: the recipe has none of the three.
    """
    prefix = f"{name}.recipe."
    ignored = recipe_keys(system, recipe, limits, prefix)
    found = {key: value for key, value in _keys(recipe, point) if not covered(prefix + key, ignored)}
    if not found:
        raise UserError(f"The recipe of {name} has no learning rate, batch size or dropout to tune.")
    return found


def _keys(part: Any, point: Point, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if {field.name for field in dataclasses.fields(part)} >= _OF_TRAINING:
        yield f"{prefix}learning_rate", point.learning_rate
        if part.final_learning_rate == part.learning_rate:
            yield f"{prefix}final_learning_rate", point.learning_rate
        yield f"{prefix}batch_size", point.batch_size
        return
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name == "dropout":
            yield f"{prefix}dropout", point.dropout
        elif is_nested(value) and field.name not in _KEPT:
            yield from _keys(value, point, f"{prefix}{field.name}.")
