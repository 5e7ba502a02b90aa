"""What listings say of systems: kept in a file of the built-in ones, asked of all others."""

from __future__ import annotations

import pytest

from baselines import registry
from baselines.contract import UserError
from benchmarks.planning import listed_settings


def test_the_file_says_what_the_systems_say() -> None:
    kept = listed_settings.FILE.read_text(encoding="utf-8")
    assert kept == listed_settings.text(), "run `python -m benchmarks.planning.listed_settings`"


def test_every_built_in_system_says_in_a_line_what_it_is() -> None:
    assert set(registry.SYSTEMS.summaries) == set(registry.SYSTEMS.built_in)
    assert all(registry.SYSTEMS.summary(name) for name in registry.SYSTEMS.built_in)


def test_an_outside_system_is_asked_itself(toys: None) -> None:
    (toy,) = listed_settings.listed(["toy"]).values()
    assert toy.by_default == ["default", "fast"] and list(toy.settings) == ["default", "fast", "slow-9"]
    assert toy.settings["slow-9"] == {"steps": "9", "pause_seconds": "0"}
    assert registry.SYSTEMS.summary("toy") == "offered by the package toy-contestants"


def test_a_name_of_a_family_is_asked_itself() -> None:
    found = listed_settings.listed(["cosmos-12", "cosmos"])
    assert list(found) == ["cosmos-12", "cosmos"]
    assert found["cosmos-12"].settings == found["cosmos"].settings


def test_an_unknown_system_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Unknown system 'gtp2'; did you mean gpt2"):
        listed_settings.listed(["cosmos", "gtp2"])
