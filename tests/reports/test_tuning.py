"""A report says whose recipe comes from the tuning protocol, and whose does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

import reports
from baselines import registry
from benchmarks.planning.overrides import flatten, plain
from reports.tuned_recipes import CHOSEN, TUNED_ON, is_tuned
from tests.reports.conftest import CALLS


def legend(fake_run, folder, preset, recipes):
    """What the report says of a run of some systems, each with a recipe."""
    for system in recipes:
        fake_run.add(system, next(iter(CALLS[system])))
    for place, (header, *rest) in enumerate(fake_run.cells):
        cell = replace(header.cell, preset=preset, recipe=recipes[header.cell.system])
        fake_run.cells[place] = (replace(header, cell=cell), *rest)
    return reports.write(fake_run.write(folder))["markdown"].read_text(encoding="utf-8")


def preset_of(system, preset):
    return plain(registry.find(system).presets[preset])


def test_only_recipes_that_were_tuned_are_said_to_be(fake_run, tmp_path):
    changed = plain(registry.find("gpt2").presets["nano"])
    changed["training"]["learning_rate"] = 1e-7
    text = legend(fake_run, tmp_path / "run", "nano", {"cosmos": preset_of("cosmos", "nano"), "gpt2": changed})
    assert "dropout of cosmos are those that one protocol chose, before this run or after it, on detoxification" in text
    assert "Those of gpt2 were not tuned by it" in text


def test_at_small_it_is_said_how_little_they_were_tuned_with(fake_run, tmp_path):
    recipes = {system: preset_of(system, "small") for system in ("gpt2", "mdlm")}
    text = legend(fake_run, tmp_path / "run", "small", recipes)
    assert "of gpt2 and mdlm are those that one protocol chose, before this run or after it, on validation" in text
    assert "documents of ParaDetox, at a fourteenth to a fortieth of the preset's budget, of two stages the" in text
    assert "not tuned" not in text


def test_a_recipe_from_before_the_tuning_was_not_tuned(fake_run, tmp_path):
    before = preset_of("mdlm", "small")
    before["trunk"]["dropout"] = 0.1
    text = legend(fake_run, tmp_path / "run", "small", {"mdlm": before})
    assert "one protocol" not in text
    assert "Learning rate, batch and dropout of mdlm were not tuned by the protocol of docs/tuning.md" in text
    assert "Those of" not in text, "of whom nothing was said before"


@pytest.mark.parametrize(("preset", "system"), [(preset, system) for preset in CHOSEN for system in CHOSEN[preset]])
def test_presets_have_what_was_chosen(preset, system):
    recipe = preset_of(system, preset)
    values = dict(flatten(recipe))
    assert preset in TUNED_ON
    assert {key: values[key] for key in CHOSEN[preset][system]} == CHOSEN[preset][system]
    assert is_tuned(system, preset, recipe)
    assert not is_tuned(system, "base", recipe)
