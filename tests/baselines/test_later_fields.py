"""A field that recipes have not always had is no difference to what was recorded without it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from baselines import registry
from baselines.common.checkpoint import configuration
from baselines.contract import Limits
from benchmarks.planning.overrides import plain
from cosmos.config import PRESETS
from cosmos.io.later_fields import identified, later


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = 3
    depth: int | None = later()


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str | None = None
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    late: str | None = later()


def whole(recipe: Any) -> Any:
    """The same of all layers."""
    if hasattr(recipe, "model"):
        return dataclasses.replace(recipe, model=whole(recipe.model))
    return dataclasses.replace(recipe, encoder_layers=None)


def test_what_is_left_out_is_what_came_later_and_is_none() -> None:
    for said in (identified, plain):
        assert said(Outer()) in ({"name": None, "inner": {"width": 3}, "many": many} for many in ((), []))
        full: Any = said(Outer(inner=Inner(depth=0), late="x"))
        assert full["inner"] == {"width": 3, "depth": 0} and full["late"] == "x"


@pytest.mark.parametrize("name", ["cosmos", "cosmos-joint", "tencdm", "ld4lg"])
def test_recipes_that_read_a_whole_encoder_are_recorded_as_before(name: str) -> None:
    for preset in registry.find(name).presets.values():
        recipe = whole(preset)
        stored = configuration(name, recipe, Limits(16, 16))["recipe"]
        for values in (stored, plain(recipe)):
            assert "encoder_layers" not in {**values, **values.get("model", {})}
    for preset in map(whole, PRESETS.values()):
        assert identified(preset) == {k: v for k, v in dataclasses.asdict(preset).items() if k != "encoder_layers"}
