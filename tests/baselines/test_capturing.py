"""Every diffusion loop under the switch: the same texts, and as many network calls as its setting says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import registry
from baselines.contract import Limits, Request
from baselines.latent_diffusion.distillation import DistilledSampling
from baselines.token_diffusion.masked_settings import ThresholdUnmasking, Unmasking
from benchmarks.planning.generation_settings import available
from benchmarks.timing.probes import counting
from cosmos.config import MINILM
from cosmos.diffusion.schedule import make_schedule
from cosmos.io.errors import UserError
from cosmos.runtime import compilation
from cosmos.runtime.capture import captured

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
import tiny_systems
from claimed_calls import network_calls

LENGTH, STEPS = 12, 3
REQUESTS = [Request(str(n), None, 7 * n, LENGTH - 1) for n in range(3)]
SYSTEMS = ("cosmos", "cosmos-joint", "mdlm", "sedd", "duo", "tencdm", "ld4lg", "diffuseq")


def with_random_weights(name: str) -> Any:
    tiny = tiny_systems.SYSTEMS[name]
    system: Any = tiny.system(tiny.recipe(MINILM), Limits(0, LENGTH))  # the encoder is of sources, and not loaded
    system.untrained(200, seed=3, device="cpu", dtype="float32")
    return system


def few_steps(name: str, setting: str) -> Any:
    named = available(registry.find(name))[setting]
    return replace(named, steps=min(named.steps, 2 if isinstance(named, DistilledSampling) else STEPS))


def distinct(name: str) -> list[str]:
    """The settings of a system that differ in more than the number of their steps."""
    return list({repr(few_steps(name, setting)): setting for setting in available(registry.find(name))}.values())


CELLS = [
    pytest.param(name, setting, marks=tiny_systems.marks_of(name)) for name in SYSTEMS for setting in distinct(name)
]


def calls_of(system: Any, setting: Any) -> int:
    """Network calls of a setting, as its own words have them."""
    if isinstance(setting, Unmasking) and setting.sampler != "ancestral":
        return min(setting.steps, system.loaded_shape["length"])
    if system.name == "diffuseq":
        from baselines.embedding_diffusion.diffuseq import SCHEDULE

        return setting.candidates * network_calls(setting, SCHEDULE)
    if hasattr(setting, "solver"):
        diffusion = system.latent_recipe().diffusion
        without = replace(setting, guidance=1.0)  # nothing guides where there is no source
        return getattr(setting, "candidates", 1) * network_calls(without, make_schedule(diffusion.schedule))
    return setting.steps


@pytest.fixture(scope="module")
def systems() -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(("name", "setting"), CELLS)
def test_texts_and_calls_are_the_same_when_captured(
    name: str, setting: str, systems: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name not in systems:
        systems[name] = with_random_weights(name)
    system = systems[name]
    plain = few_steps(name, setting)
    monkeypatch.setattr(compilation, "BACKEND", "eager")  # traced whole, so nothing in it waits; not made faster
    fused: list[Any] = []  # functions around the networks that were compiled
    compile_function = compilation._compiled_function
    monkeypatch.setattr(
        compilation, "_compiled_function", lambda *given: fused.append(given) or compile_function(*given)
    )
    with counting(system.networks()) as calls:
        expected = system.generate(REQUESTS, plain)
    assert not fused
    with counting(system.networks()) as again:
        assert system.generate(REQUESTS, replace(plain, capture="compile")) == expected
    first = next(iter(calls))
    assert fused
    assert again == calls
    if isinstance(plain, ThresholdUnmasking):
        assert 1 <= calls[first] <= plain.steps
    else:
        assert calls[first] == calls_of(system, plain)
    with pytest.raises(UserError, match="CUDA"):
        system.generate(REQUESTS, replace(plain, capture="graph"))


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        cell
        for cell in CELLS
        if cell.values[0] in ("mdlm", "sedd", "duo", "diffuseq") and not cell.values[1].startswith("threshold")
    ],
)
def test_a_loop_over_a_sequence_waits_for_nothing(name: str, setting: str, systems: dict[str, Any]) -> None:
    """On the meta device there is no data, so any branch or copy that needs a value raises."""
    if (where := f"{name} on meta") not in systems:
        systems[where] = with_random_weights(name)
        systems[where].model.to("meta")
        systems[where].device = torch.device("meta")
    system = systems[where]
    seeds, source = (
        torch.zeros(2, dtype=torch.int64, device="meta"),
        torch.zeros(2, 1, dtype=torch.int64, device="meta"),
    )
    with torch.inference_mode():
        tokens = captured(system, system.sample, "off", few_steps(name, setting))(seeds, source)
    assert tokens.shape == (2, system.loaded_shape["length"])


@pytest.mark.parametrize(
    ("name", "setting"),
    [cell for cell in CELLS if cell.values[0] != "ld4lg" and not cell.values[1].startswith("threshold")],
)
def test_a_recording_brings_tokens_to_the_host_where_none_are_drawn_after_them(
    name: str, setting: str, systems: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several candidates of a text are all queued before the first of them is read."""
    if name not in systems:
        systems[name] = with_random_weights(name)
    system, plain = systems[name], few_steps(name, setting)
    asked: list[bool] = []

    def remember(*given: Any, to_host: bool = False) -> Any:
        asked.append(to_host)
        return captured(*given, to_host=to_host)

    for module in list(sys.modules.values()):
        if getattr(module, "captured", None) is captured and module is not sys.modules[__name__]:
            monkeypatch.setattr(module, "captured", remember)
    system.generate(REQUESTS, plain)
    candidates = getattr(plain, "candidates", 1)
    assert asked == [candidates == 1] * candidates
