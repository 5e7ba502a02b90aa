"""Numbers and widths: each key of `--set` that is one works, or is refused with one sentence."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import registry
from baselines.contract import Limits, UserError
from baselines.latent_diffusion.system import LatentDiffusionSystem
from benchmarks import tasks
from benchmarks.planning.ignored_keys import change_recipe
from benchmarks.planning.overrides import CliValue
from cosmos.diffusion.objective import diffusion_loss
from cosmos.models.denoiser import SourceStates
from cosmos.recipes import RECIPES
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import marks_of

SYSTEMS = ("cosmos", "cosmos-full", "cosmos-16x64", "tencdm", "ld4lg")
VALUES = ("-1", "0", "1", "3", "4", "12", "17", "64", "100000", "1000000000000")
LENGTH = 20  # positions of the longest text


def numbers(instance: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys of all whole numbers among the sizes of networks."""
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if dataclasses.is_dataclass(value) and "training" not in field.name:
            yield from numbers(value, f"{prefix}{field.name}.")
        elif (isinstance(value, int) and not isinstance(value, bool)) or field.name in ("feed_forward", "source_width"):
            yield prefix + field.name


def works(system: LatentDiffusionSystem) -> None:
    """A text goes through every network, as in training and as in generating: sizes fit, whatever the weights are."""
    text_width = 384
    shape = {"vocabulary": 96, "length": system.positions(LENGTH), "text_width": text_width}
    with torch.random.fork_rng(), torch.no_grad():
        model = system.build(shape)
        states, mask = torch.zeros(2, 16, text_width), torch.ones(2, 16, dtype=torch.bool)
        source = SourceStates(states, mask) if system.limits.source_tokens else None
        sizes, seeds = model.denoiser.config, CounterRNG(torch.arange(2))
        latents = torch.zeros(2, sizes.latents, sizes.latent_width)
        if hasattr(model.decoder, "compress"):
            latents = model.decoder.compress(states, mask)
        loss, _ = diffusion_loss(model.denoiser, latents, system.latent_recipe().diffusion, seeds, source)
        system.model = model
        if hasattr(model.decoder, "decoder"):  # word by word
            logits = model.decoder.decoder.teach(torch.zeros(2, 5, dtype=torch.int64), latents)
            assert logits.shape == (2, 5, 96)
        else:
            tokens = system.decode(latents, source, 90)
            assert len(tokens) == 2 and tokens.shape[1] < shape["length"] and tokens.dtype == torch.int64
    assert loss.shape == ()


OFF = ("adaptation.", "distillation.")  # stages that are off at nano, so that their keys are refused
KEYS = [
    (name, key) for name in SYSTEMS for key in numbers(registry.find(name).presets["nano"]) if not key.startswith(OFF)
]


@pytest.mark.parametrize(("name", "key"), [pytest.param(*case, marks=marks_of(case[0])) for case in KEYS])
def test_every_size_works_or_is_refused_with_a_sentence(name: str, key: str) -> None:
    kind: Any = registry.find(name)
    working, said = 0, list[str]()
    for task, values in ((tasks.find("detox"), VALUES), (tasks.find("story"), VALUES[-4:])):
        for value in values:
            try:
                recipe = change_recipe(name, kind, kind.presets["nano"], {key: CliValue(value)}, task.limits)
                system = kind(recipe, task.limits)
                system.latent_recipe()
            except UserError as error:
                said.append(str(error))
                continue
            working += 1
            if int(value) <= (7 if key.endswith("layers") else 100):  # what is larger takes longer, and is no other
                works(system)
            assert int(value) < 1_000_000
    assert all(sentence.endswith((".", "?")) and "\n" not in sentence for sentence in said)
    unsettable = ("text_width", "vocabulary", "max_tokens", "source_width", "max_source_tokens")
    inherited = key.startswith(("denoiser.latent", "model.denoiser.latent"))
    named = name in ("cosmos-full", "cosmos-16x64") and "autoencoder.latent" in key
    assert working or key.rpartition(".")[2] in unsettable or inherited or named, "no value works"


def test_keys_are_found() -> None:
    assert {key for name, key in KEYS if name == "cosmos"} >= {
        *(
            f"model.autoencoder.{key}"
            for key in ("latents", "latent_width", "width", "layers", "heads", "feed_forward")
        ),
        *(f"model.denoiser.{key}" for key in ("latents", "latent_width", "width", "layers", "heads", "source_layers")),
    }


def test_there_are_no_more_latents_than_positions() -> None:
    for name in ("cosmos-64", "cosmos-41x8"):
        system: Any = registry.find(name)
        with pytest.raises(UserError, match="are more than the 40 positions of a text"):
            system(system.presets["nano"], Limits(40, 40))
        system(system.presets["nano"], Limits(40, 64))
    full: Any = registry.find("cosmos-full")
    full(full.presets["nano"], Limits(40, 8))  # whose number of latents nobody asks for


def test_a_contestant_is_what_its_name_says() -> None:
    for name, key, value in (("cosmos-8", "latents", 9), ("cosmos-8x32", "latent_width", 33)):
        system: Any = registry.find(name)
        limits = Limits(40, 40)
        with pytest.raises(UserError, match=f"The name of '{name}' says {key} {value - 1}, and its recipe {value}"):
            system(
                change_recipe(name, system, system.presets["nano"], {f"model.autoencoder.{key}": value}, limits), limits
            )


@pytest.mark.parametrize("preset", RECIPES)
@pytest.mark.parametrize(("name", "latents", "width", "full", "d"), [
    ("cosmos-12", 12, None, False, 5.0), ("cosmos-16x64", 16, 64, False, 5.0), ("cosmos-64x32", 64, 32, False, 7.0),
    ("cosmos-fullx128", None, 128, True, 5.0),
])  # fmt: skip
def test_a_name_is_a_recipe(
    preset: str, name: str, latents: int | None, width: int | None, full: bool, d: float
) -> None:
    usual, recipe = RECIPES[preset], registry.find(name).presets[preset]
    sizes = {"latents": latents or usual.model.autoencoder.latents}
    sizes["latent_width"] = width or usual.model.autoencoder.latent_width
    parts = {part: dataclasses.replace(getattr(usual.model, part), **sizes) for part in ("autoencoder", "denoiser")}
    schedule = dataclasses.replace(usual.model.diffusion.schedule, d=d)
    parts["diffusion"] = dataclasses.replace(usual.model.diffusion, schedule=schedule)
    assert recipe == dataclasses.replace(usual, model=dataclasses.replace(usual.model, **parts), full=full)
