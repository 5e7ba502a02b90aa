"""MDLM's further settings: network calls, texts that are their own, sources padded to the limit."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.common import static_shapes
from baselines.contract import UserError
from baselines.token_diffusion import masked_samplers
from baselines.token_diffusion.masked_settings import Remasking, ThresholdUnmasking, Unmasking
from baselines.token_diffusion.mdlm import MDLMSystem
from cosmos.runtime import compilation
from cosmos.text.vocabulary import MASK

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import LIMITS, REQUESTS, Trained, count_calls


@pytest.fixture
def mdlm(trained: Callable[[str], Trained]) -> MDLMSystem:
    system = trained("mdlm").system
    assert isinstance(system, MDLMSystem)
    return system


LENGTH = 10  # positions of the sequence: the longest target with its end, and the margin
UNMASKING: list[tuple[Any, int]] = [
    (Unmasking("cached", 4), 4),
    (Unmasking("cached", 50), LENGTH),
    (Unmasking("first_hitting", 3, top_p=0.8), 3),
    (Unmasking("first_hitting", 50), LENGTH),
    (Remasking("cap", 6, eta=0.1, top_p=0.9), 6),
    (Remasking("rescale", 6, eta=0.3), 6),
    (Remasking("conf", 12), 12),
    (Remasking("loop", 12, eta=0.1), 12),
]


@pytest.mark.parametrize(("setting", "calls"), UNMASKING)
def test_mdlm_calls_its_network_as_often_as_the_setting_says(setting: Any, calls: int, mdlm: MDLMSystem) -> None:
    assert mdlm.loaded_shape["length"] == LENGTH
    assert count_calls(mdlm, setting) == calls


def test_a_threshold_calls_at_most_as_often_as_the_setting_says(mdlm: MDLMSystem) -> None:
    calls = [count_calls(mdlm, ThresholdUnmasking(LENGTH, threshold)) for threshold in (1.0, 0.6, 0.01)]
    assert calls == sorted(calls, reverse=True) and calls[0] <= LENGTH and calls[-1] == 1
    assert count_calls(mdlm, ThresholdUnmasking(2, 1.0)) == 2


@pytest.mark.parametrize("capture", ["off", "compile"])
def test_calls_that_would_open_nothing_are_not_made(
    capture: Any, mdlm: MDLMSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_samplers, "LOOK_EVERY_ON_CPU", 50)  # as where a look is dear
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    for kind in (Unmasking("confidence", LENGTH), ThresholdUnmasking(LENGTH, 1.0)):
        enough = dataclasses.replace(kind, capture=capture)
        more = dataclasses.replace(enough, steps=50)
        assert count_calls(mdlm, more) == count_calls(mdlm, enough) == LENGTH
        assert mdlm.generate(REQUESTS, more) == mdlm.generate(REQUESTS, enough)


@pytest.mark.parametrize("setting", [*(setting for setting, _ in UNMASKING), ThresholdUnmasking(9, 0.7)])
def test_texts_are_the_same_where_all_positions_are_worked_on(
    setting: Any, mdlm: MDLMSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = mdlm.generate(REQUESTS, setting)
    monkeypatch.setattr(static_shapes, "can_index_by_mask", lambda sequence: False)  # as on an accelerator
    assert mdlm.generate(REQUESTS, setting) == few
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    assert mdlm.generate(REQUESTS, dataclasses.replace(setting, capture="compile")) == few


@pytest.mark.parametrize("setting", [Unmasking("ancestral", 9), Unmasking("cached", 9), Remasking("cap", 9, eta=0.1)])
def test_a_batch_that_found_no_room_is_made_again(
    setting: Any, mdlm: MDLMSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, calls = mdlm.generate(REQUESTS, setting), count_calls(mdlm, setting)
    monkeypatch.setattr(static_shapes, "can_index_by_mask", lambda sequence: False)
    monkeypatch.setattr(static_shapes, "DEVIATIONS", 0.0)
    monkeypatch.setattr(static_shapes, "MULTIPLE", 1)
    tokens = mdlm.sample(setting, *mdlm.inputs(REQUESTS, "off"))
    assert bool((tokens == MASK).any())
    assert mdlm.generate(REQUESTS, setting) == expected
    assert count_calls(mdlm, setting) == 2 * calls


@pytest.mark.parametrize("setting", [*(setting for setting, _ in UNMASKING), ThresholdUnmasking(9, 0.7)])
def test_a_text_of_mdlm_does_not_depend_on_its_batch_mates(setting: Any, mdlm: MDLMSystem) -> None:
    together = mdlm.generate(REQUESTS, setting)
    assert mdlm.generate(REQUESTS[::-1], setting) == together[::-1]
    for request, sample in zip(REQUESTS[::5], together[::5], strict=True):
        assert mdlm.generate([request], setting) == [sample]


@pytest.mark.parametrize("setting", [*(setting for setting, _ in UNMASKING), ThresholdUnmasking(9, 0.7)])
def test_a_source_padded_to_its_limit_gives_the_same_texts(
    setting: Any, mdlm: MDLMSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    compiled = dataclasses.replace(setting, capture="compile")
    assert mdlm.inputs(REQUESTS[:3], "compile")[1].shape[1] == LIMITS.source_tokens
    assert mdlm.generate(REQUESTS, compiled) == mdlm.generate(REQUESTS, setting)
    assert count_calls(mdlm, compiled) == count_calls(mdlm, setting)


def test_cached_sampling_writes_the_texts_of_ancestral_sampling(mdlm: MDLMSystem) -> None:
    for steps in (3, 40):
        plain, cached = (mdlm.generate(REQUESTS, Unmasking(name, steps)) for name in ("ancestral", "cached"))  # type: ignore[arg-type]
        assert plain == cached


def test_further_settings_have_names_of_their_own_and_bounds() -> None:
    assert not set(MDLMSystem.settings) & set(MDLMSystem.other_settings)
    for name, setting in {**MDLMSystem.settings, **MDLMSystem.other_settings}.items():
        assert name.endswith(f"-{setting.steps}")
    for bad in (
        lambda: Unmasking("cached", 3, top_p=0.0),
        lambda: Unmasking("greedy", 3),  # type: ignore[arg-type]
        lambda: ThresholdUnmasking(3, 0.0),
        lambda: Remasking("some", 3),  # type: ignore[arg-type]
        lambda: Remasking("cap", 3, eta=2.0),
        lambda: Remasking("cap", 3, top_p=0.0),
    ):
        with pytest.raises(UserError):
            bad()
