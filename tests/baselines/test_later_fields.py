"""A field that recipes have not always had is no difference to what was recorded without it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from baselines import registry
from baselines.common.checkpoint import configuration
from baselines.contract import Limits, UserError
from baselines.latent_diffusion.distillation import DistilledSampling
from benchmarks.planning.generation_settings import available
from benchmarks.planning.overrides import plain
from benchmarks.planning.plan import PlannedCell, make
from benchmarks.planning.run_config import gather
from cosmos.config import PRESETS
from cosmos.io.later_fields import identified, later
from cosmos.recipes import DistillationConfig


@dataclasses.dataclass(frozen=True)
class Inner:
    width: int = 3
    depth: int | None = later()
    weight: float = later(1.0)


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


def test_what_is_left_out_is_what_came_later_and_has_its_default() -> None:
    for said in (identified, plain):
        assert said(Outer()) in ({"name": None, "inner": {"width": 3}, "many": many} for many in ((), []))
        full: Any = said(Outer(inner=Inner(depth=0, weight=0.0), late="x"))
        assert full["inner"] == {"width": 3, "depth": 0, "weight": 0.0} and full["late"] == "x"


@pytest.mark.parametrize("name", ["cosmos", "cosmos-joint", "tencdm", "ld4lg"])
def test_recipes_that_read_a_whole_encoder_are_recorded_as_before(name: str) -> None:
    for preset in registry.find(name).presets.values():
        recipe = whole(preset)
        stored = configuration(name, recipe, Limits(16, 16))["recipe"]
        for values in (stored, plain(recipe)):
            assert "encoder_layers" not in {**values, **values.get("model", {})}
    for preset in map(whole, PRESETS.values()):
        assert identified(preset) == {k: v for k, v in dataclasses.asdict(preset).items() if k != "encoder_layers"}


@pytest.mark.parametrize("name", ["cosmos", "cosmos-joint", "tencdm", "ld4lg", "diffuseq"])
def test_settings_and_teachers_that_are_the_plain_ones_are_recorded_as_before(name: str) -> None:
    system = registry.find(name)
    for setting in available(system).values():
        changed = dataclasses.replace(setting, temperature=0.8)
        assert {k: v for k, v in plain(changed).items() if k not in plain(setting)} == {"temperature": 0.8}
    for recipe in system.presets.values():
        if hasattr(recipe, "distillation"):
            guided = dataclasses.replace(recipe, distillation=dataclasses.replace(recipe.distillation, self_guidance=2))
            for said in (plain, lambda recipe: configuration(name, recipe, Limits(16, 16))["recipe"]):
                assert "self_guidance" not in said(recipe)["distillation"]
                assert said(guided)["distillation"]["self_guidance"] == 2


LATER_OF_DISTILLATION = {"self_guidance", "further_methods", "moments_rate"}


@pytest.mark.parametrize("name", ["cosmos", "tencdm", "ld4lg"])
def test_what_is_distilled_by_one_method_is_recorded_as_before(name: str) -> None:
    first = DistillationConfig(0.2, "progressive", (4, 2), 16, 0.05, 1.5)
    fixed = {"share": 0.2, "method": "progressive", "teacher_calls": 16, "end_noise": 0.05, "guidance": 1.5}
    for said, calls in ((identified, (4, 2)), (plain, [4, 2])):
        assert said(first) == {**fixed, "calls": calls, "training": said(first.training)}
    for preset in registry.find(name).presets.values():
        for config in (preset.distillation, first):
            recipe = dataclasses.replace(preset, distillation=config)
            stored = configuration(name, recipe, Limits(16, 16))["recipe"]["distillation"]
            assert not LATER_OF_DISTILLATION & stored.keys()
        for key, value in (("further_methods", ("moments",)), ("moments_rate", 2.0)):
            changed = dataclasses.replace(preset, distillation=dataclasses.replace(first, **{key: value}))
            found = configuration(name, changed, Limits(16, 16))["recipe"]["distillation"]
            assert {k: v for k, v in found.items() if k not in stored} == {
                key: [*value] if key != "moments_rate" else 2
            }
    for calls in (8, 4, 2, 1):
        assert plain(DistilledSampling(calls)) == {"capture": "off", "steps": calls}
        by_name = dataclasses.replace(DistilledSampling(calls), method="moments")
        assert plain(by_name) == {"capture": "off", "steps": calls, "method": "moments"}


def test_a_method_is_set_by_name_for_another_cell_of_the_same_checkpoint() -> None:
    def planned(*words: str) -> PlannedCell:
        asked = {"task": "detox", "system": ["tencdm"], "setting": ["tencdm:distilled-4"]}
        share = "tencdm.recipe.distillation.share=0.1"
        changes = [share, *(f"tencdm.{word}" for word in words)]
        return next(p for p in make(gather(asked, changes), "cpu").cells if p.cell.system == "tencdm")

    further, key = "recipe.distillation.further_methods=moments", "settings.distilled-4.method"
    alone, usual, none = planned(), planned(further), planned(further, f"{key}=none")
    named = planned(further, f"{key}=moments")
    assert none.cell.id == usual.cell.id and "method" not in usual.cell.setting_values
    assert named.cell.setting_values == {**usual.cell.setting_values, "method": "moments"}
    assert named.cell.id != usual.cell.id and named.cell.checkpoint_id == usual.cell.checkpoint_id
    assert alone.cell.checkpoint_id != usual.cell.checkpoint_id  # its students have longer


@pytest.mark.parametrize(
    ("name", "setting", "title"),
    [
        ("cosmos", "release-200", "released sampler, temperature 0.8, 200 steps"),
        ("tencdm", "distilled-8", "distilled, temperature 0.8, 8 steps"),
        ("ld4lg", "optimised-8", "own time grid, temperature 0.8, 8 steps"),
        ("diffuseq", "dpmpp_2m-20", "temperature 0.8, 20 steps"),
    ],
)
def test_a_temperature_is_set_by_name_for_another_cell_of_the_same_checkpoint(
    name: str, setting: str, title: str
) -> None:
    few = [f"{name}.recipe.{key}=0.1" for key in ("grid_share", "distillation.share") if name != "diffuseq"]

    def planned(*words: str) -> PlannedCell:
        asked = {"task": "detox", "system": [name], "setting": [f"{name}:{setting}"]}
        return next(p for p in make(gather(asked, [*few, *words]), "cpu").cells if p.cell.system == name)

    key = f"{name}.settings.{setting}.temperature"
    usual, same, colder = planned(), planned(f"{key}=1"), planned(f"{key}=0.8")
    assert same.cell.id == usual.cell.id and "temperature" not in usual.cell.setting_values
    assert colder.cell.setting_values == {**usual.cell.setting_values, "temperature": 0.8}
    assert colder.cell.id != usual.cell.id and colder.cell.checkpoint_id == usual.cell.checkpoint_id
    assert colder.contestant.titles(colder.cell)["setting"] == title
    assert [s.temperature for s in colder.contestant.settings.values()] == [0.8]
    with pytest.raises(UserError, match="temperature must be positive and finite, not 0"):
        planned(f"{key}=0")
