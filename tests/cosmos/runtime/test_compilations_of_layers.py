"""Layers of one kind share a compilation: the first, which is given no others' summands, and those with a long skip."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from baselines.common.transformer import Trunk, TrunkConfig
from cosmos.config import DenoiserConfig
from cosmos.models.blocks import Rotary, begun
from cosmos.models.denoiser import Denoiser
from cosmos.runtime import compilation

LATENTS, WIDTH = 4, 8
Made = Callable[[], tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]]


def denoising() -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    network = Denoiser(DenoiserConfig(latents=LATENTS, latent_width=WIDTH, width=WIDTH, layers=6, heads=2))
    x = torch.randn(3, LATENTS, WIDTH, generator=torch.Generator().manual_seed(0))
    return network, lambda called: called(x, torch.full((1,), 0.3), x)


def rivals() -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    network, rotary = Trunk(TrunkConfig(WIDTH, 6, 2, 16)), Rotary(4, LATENTS)
    x = torch.randn(3, LATENTS, WIDTH, generator=torch.Generator().manual_seed(0))
    return network, lambda called: called(x, rotary)


@pytest.mark.parametrize(("made", "kinds"), [(denoising, 2), (rivals, 1)])
def test_layers_share_compilations(made: Made, kinds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    torch._dynamo.reset()
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    with torch.inference_mode():
        network, call = made()
        methods = [method for method in compilation.compile_blocks({"": network}) if method[1] == "forward"]
        with compilation.compiled(methods):
            found = call(network)
        torch.testing.assert_close(found, call(network))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] - before == kinds


def test_layers_share_compilations_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    torch._dynamo.reset()
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    network, _ = rivals()
    embedded = nn.Linear(2, WIDTH)(torch.ones(3, LATENTS, 2))
    methods = [method for method in compilation.compile_blocks({"": network}, training=True) if method[1] == "forward"]
    with torch.autocast("cpu", torch.bfloat16), compilation.compiled(methods):
        network(embedded, Rotary(4, LATENTS)).sum().backward()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] - before == 1


def test_what_is_begun_with_is_learnt_as_far_as_it_can_be() -> None:
    """In training the first layer's input is then of the kind of the others'."""
    for learnt in (True, False):
        x = torch.ones(2, 3, requires_grad=learnt) * 2
        one, nothing = begun(x)
        assert one is x and not bool(nothing.any()) and nothing.requires_grad == learnt
    with torch.autocast("cpu", torch.bfloat16):
        assert [part.dtype for part in begun(torch.ones(2))] == [torch.float32, torch.bfloat16]
    with torch.no_grad():
        assert not begun(torch.ones(2, requires_grad=True) * 2)[1].requires_grad
