"""The page on rivals says of every recipe and setting what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from baselines import registry
from benchmarks import metrics
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


def test_metrics_that_the_page_names_are_there_and_every_convention_of_a_rival_is_named() -> None:
    named = {rival: set(re.findall(r"`(legacy_\w+|nll|rouge_\w+)`", section)) for rival, section in sections().items()}
    assert {name for those in named.values() for name in those} <= set(metrics.names())
    theirs = {
        "mdlm": {"legacy_gen_ppl", "legacy_sample_entropy"},
        "sedd": {"legacy_gen_ppl"},
        "duo": {"legacy_gen_ppl", "legacy_sample_entropy"},
        "tencdm": {"legacy_ppl_neo", "legacy_mauve", "legacy_bertscore"},
        "ld4lg": {"legacy_mauve_256", "legacy_ppl_mean", "legacy_bertscore_rescaled"},
    }
    assert {rival: names - named[rival] for rival, names in theirs.items()} == {rival: set() for rival in theirs}
    rows = {
        rival: next(row for row in section.splitlines() if row.startswith("| evaluation"))
        for rival, section in sections().items()
    }
    assert all(name in rows[rival] for rival, names in theirs.items() for name in names)


def test_every_rival_that_is_trained_has_a_section() -> None:
    methods = {
        getattr(registry.find(name), "method", name)
        for name in registry.SYSTEMS.built_in
        if registry.find(name).trained
    }
    assert (
        set(sections()) - set(OTHERWISE_TRAINED) == set(RIVALS) == methods - {"cosmos", "hf"}
    )  # that one is whoever is named
    assert all(registry.find(name).method == "cosmos" for name in OTHERWISE_TRAINED)
