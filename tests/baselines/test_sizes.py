"""Presets are matched: what is called at every step is as large for every system, and so is all of it given a source.

Counted is every parameter of the network called at every step but token embeddings, output heads and position tables.
The encoder of sources, which runs once per text, and cross-attention to it are counted apart: all that have them must
agree on these as well. GPT-2 and DiffuSeq read the source with the network itself and have neither.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import nn

from baselines import registry
from baselines.contract import Limits
from baselines.latent_diffusion.networks import LatentNetworks
from baselines.latent_diffusion.system import LatentDiffusionSystem
from cosmos.config import PRESETS
from cosmos.training.config import TrainingConfig

OF_ITS_OWN_SIZE = ("hf",)  # that of the model which is named
TRAINED = [n for n in registry.names() if registry.find(n).trained and n not in OF_ITS_OWN_SIZE]
CELLS = [(name, preset) for name in TRAINED for preset in registry.find(name).presets if preset in PRESETS]
TABLES = ("tokens", "positions", "wte", "wpe", "lm_head", "bias", "null_source")  # `bias` is that of a rounding head
AROUND_THE_SOURCE = ("source_encoder", "cross_norm", "cross_attention")
SOURCE_TOKENS = 40


@functools.cache  # each is compared with that of Cosmos
def network(name: str, preset: str, conditional: bool) -> nn.Module:
    """What is called at every step, on the meta device."""
    text_width = PRESETS[preset].autoencoder.text_width
    source_tokens = SOURCE_TOKENS if conditional else 0
    with torch.device("meta"):
        kind: Any = registry.find(name)
        system = kind(kind.presets[preset], Limits(source_tokens, 128))  # room for as many latents
        length = system.positions(24) if issubclass(kind, LatentDiffusionSystem) else 24
        built = system.build({"vocabulary": 640, "length": length, "text_width": text_width})
    return built.denoiser if isinstance(built, LatentNetworks) else built


def count(model: nn.Module, around_the_source: bool) -> int:
    """Parameters by the rule; those around the source apart."""
    total = 0
    for name, value in model.named_parameters():
        parts = name.split(".")
        if parts[0] in TABLES or any(part in ("positions", "wte", "wpe") for part in parts):
            continue
        if any(part in AROUND_THE_SOURCE for part in parts) == around_the_source:
            total += value.numel()
    return total


@pytest.mark.parametrize(("name", "preset"), CELLS)
@pytest.mark.parametrize("conditional", [False, True])
def test_what_is_called_at_every_step_is_as_large_as_the_denoiser_of_cosmos(
    name: str, preset: str, conditional: bool
) -> None:
    mine, cosmos = (count(network(which, preset, conditional), False) for which in (name, "cosmos"))
    assert mine == pytest.approx(cosmos, rel=0.05)


@pytest.mark.parametrize(("name", "preset"), [cell for cell in CELLS if cell[0] not in ("gpt2", "diffuseq")])
def test_what_reads_the_source_is_as_large_as_that_of_cosmos(name: str, preset: str) -> None:
    mine, cosmos = (network(which, preset, True) for which in (name, "cosmos"))
    assert len(encoder_blocks(mine)) == len(encoder_blocks(cosmos))
    whole = [count(model, False) + count(model, True) for model in (mine, cosmos)]
    assert whole[0] == pytest.approx(whole[1], rel=0.05)


def encoder_blocks(model: nn.Module) -> nn.ModuleList:
    blocks = model.source_encoder.blocks  # type: ignore[union-attr]
    assert isinstance(blocks, nn.ModuleList)
    return blocks


@pytest.mark.parametrize(
    "name", ["cosmos", "cosmos-joint", "mdlm", "sedd", "duo", "tencdm", "ld4lg", "diffuseq", "gpt2"]
)
def test_every_trained_system_has_every_preset(name: str) -> None:
    assert set(registry.find(name).presets) - {"pretrained"} == set(PRESETS)


@pytest.mark.parametrize(("name", "preset"), CELLS)
def test_trunks_are_as_wide_and_deep_as_the_denoiser_and_have_as_many_heads(name: str, preset: str) -> None:
    recipe: Any = registry.find(name).presets[preset]
    recipe = getattr(recipe, "model", recipe)
    sizes = getattr(recipe, "trunk", getattr(recipe, "denoiser", recipe))
    cosmos = PRESETS[preset].denoiser
    assert (sizes.width, sizes.layers, sizes.heads) == (cosmos.width, cosmos.layers, cosmos.heads)


@pytest.mark.parametrize("name", [name for name, preset in CELLS if preset == "small"])
def test_every_system_at_small_keeps_the_best_of_its_averaged_weights(name: str) -> None:
    """So that none is judged by weights that have begun to overfit."""
    recipe: Any = registry.find(name).presets["small"]
    stages = [value for value in vars(recipe).values() if isinstance(value, TrainingConfig)]
    assert stages
    for training in stages:
        assert (training.keep, training.ema_decay) == ("best", 0.999)
        assert training.validations >= 8
