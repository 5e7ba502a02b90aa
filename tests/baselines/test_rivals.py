"""The page on rivals says of every recipe and setting what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from baselines import registry
from benchmarks.planning.generation_settings import available
from benchmarks.planning.overrides import plain

PAGE = Path(__file__).parents[2] / "docs" / "rivals.md"
RIVALS = ("gpt2", "mdlm", "sedd", "duo", "tencdm", "ld4lg", "diffuseq")
OTHERWISE_TRAINED = ("cosmos-joint",)  # the method itself, after another paper
ROWS = ("network", "objective", "optimiser", "sampler", "evaluation")


def sections() -> dict[str, str]:
    parts = re.split(r"^## .* \(`([\w-]+)`\)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def said(section: str) -> dict[str, str]:
    """What a section says of keys, which stand in code spans."""
    return dict(re.findall(r"`([\w.-]+)=([^`]+)`", section))


def true(system: str, key: str) -> str:
    """The value of a key of the recipe "base", or of a setting, as the page writes it."""
    kind = registry.find(system)
    value, path = plain(kind.presets["base"]), key
    if key.startswith("settings."):
        every = available(kind)
        name = next(name for name in every if key.startswith(f"settings.{name}."))
        value, path = plain(every[name]), key.removeprefix(f"settings.{name}.")
    for part in path.split("."):
        value = value[part]
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def written(value: str) -> str:
    """A number as Python writes it."""
    return str(float(value)) if re.fullmatch(r"[\d.]+e[+-]\d+", value) else value


@pytest.mark.parametrize("rival", [*RIVALS, *OTHERWISE_TRAINED])
def test_the_page_says_what_recipes_and_settings_are(rival: str) -> None:
    section = sections()[rival]
    assert [row for row in ROWS if f"\n| {row} |" not in section] == []
    keys = said(section)
    assert {key: written(value) for key, value in keys.items()} == {key: true(rival, key) for key in keys}
    told = {key.rpartition(".")[2] for key in keys}
    assert {"learning_rate", "betas", "batch_size", "ema_decay", "budget", "layers", "width"} <= told
    default = registry.find(rival).settings
    assert [name for name in default if f"`settings.{name}." not in section] == []


def test_every_rival_that_is_trained_has_a_section() -> None:
    methods = {
        getattr(registry.find(name), "method", name)
        for name in registry.SYSTEMS.built_in
        if registry.find(name).trained
    }
    assert set(sections()) - set(OTHERWISE_TRAINED) == set(RIVALS) == methods - {"cosmos"}
    assert all(registry.find(name).method == "cosmos" for name in OTHERWISE_TRAINED)
