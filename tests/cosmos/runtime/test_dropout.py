"""Dropout by a hash: independent of the place and of other draws, and in compiled code alone."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cosmos.models.blocks import GeluFeedForward
from cosmos.runtime import compilation, dropout
from cosmos.runtime.dropout import hashed_dropout, is_kept

PLACES = 1_000_000
LAGS = (1, 2, 3, 16, 64, 384, 768, 1536, 3072, 4096, 65_536)  # of widths, heads and lengths, among others


def kept(seed: int, p: float, places: int = PLACES) -> Tensor:
    return is_kept(torch.arange(places, dtype=torch.int32), torch.tensor([seed], dtype=torch.int32), p)


def deviations(one: Tensor, other: Tensor, p: float) -> float:
    """The correlation of two masks in its standard deviations, had they nothing to do with each other."""
    product = (one.double() - (1 - p)) * (other.double() - (1 - p))
    return float(product.mean()) / (p * (1 - p)) * math.sqrt(len(one))


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2**31 - 2])
def test_places_are_dropped_as_often_as_asked_and_whatever_happens_at_others(seed: int, p: float) -> None:
    mask = kept(seed, p)
    assert abs(float((~mask).double().mean()) - p) < 4 * math.sqrt(p * (1 - p) / PLACES)
    for lag in LAGS:
        assert abs(deviations(mask[lag:], mask[:-lag], p)) < 4.5, lag


def test_masks_of_two_seeds_have_nothing_to_do_with_each_other() -> None:
    masks = [kept(seed, 0.1) for seed in (0, 1, 2, 3, 4096, 2**30)]
    for number, one in enumerate(masks):
        for other in masks[:number]:
            assert abs(deviations(one, other, 0.1)) < 4.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (12_345, 2**31 - 2),
        (506_952_121, 1_826_701_614),
        (87_989_972, 579_362_555),
        (12_344, 12_345),
        (8, 10),
        (2**31 - 8, 2**31 - 2),
        (700, 701 + 2**17),
    ],
)
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_the_mask_of_a_seed_is_not_that_of_another_with_places_moved(one: int, other: int, p: float) -> None:
    # With the seed mixed in at the first place alone, `one` would do here what `other` does there.
    there = torch.arange(PLACES, dtype=torch.int32) ^ one ^ other
    assert abs(deviations(kept(one, p), is_kept(there, torch.tensor([other], dtype=torch.int32), p), p)) < 4.5


@pytest.mark.parametrize(("p", "share"), [(1e-12, 1.0), (2.0**-20, 1.0), (1 - 1e-9, 0.0), (1 - 1e-12, 0.0)])
def test_what_is_hardly_ever_dropped_or_kept_is_so(p: float, share: float) -> None:
    assert abs(float(kept(7, p).double().mean()) - share) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_keep_their_type_and_what_is_dropped_is_zero_whatever_it_was(dtype: torch.dtype) -> None:
    x = torch.full((100, 10), math.inf, dtype=dtype).requires_grad_()
    found = hashed_dropout(x, 0.5)
    found.sum().backward()
    assert found.dtype == dtype and set(found.flatten().tolist()) == {0.0, math.inf}
    assert x.grad is not None and set(x.grad.flatten().tolist()) == {0.0, 2.0}


def test_what_is_kept_is_scaled_and_so_is_its_gradient() -> None:
    x = torch.arange(1.0, 10_001).view(100, 100).requires_grad_()
    torch.manual_seed(3)
    found = hashed_dropout(x, 0.2)
    found.sum().backward()
    mask = found != 0
    assert 0.75 < float(mask.float().mean()) < 0.85
    torch.testing.assert_close(found[mask], (x / 0.8)[mask])
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.where(mask, 1 / 0.8, 0.0))
    assert not torch.equal(hashed_dropout(x, 0.2) != 0, mask)  # a draw of its own each time
    torch.manual_seed(3)
    assert torch.equal(hashed_dropout(x, 0.2) != 0, mask)


@pytest.mark.skipif(not compilation.has_compiler(), reason="needs a C++ compiler")
def test_no_place_is_multiplied_as_an_address() -> None:
    """Inductor multiplies out the factors of addresses, and Triton takes none beyond int32."""
    from torch._inductor.utils import run_and_get_code

    def normed(x: Tensor) -> Tensor:
        dropped = hashed_dropout(x, 0.1)
        return dropped / dropped.square().mean(-1, keepdim=True).sqrt()

    _, [code] = run_and_get_code(torch.compile(normed, dynamic=False), torch.randn(3, 48, 640))
    factors = [int(found) for found in re.findall(r"(-?\d+)L?\)?\*x\d", code)]
    assert "x0" in code and 640 in factors
    assert max(map(abs, factors)) < 2**24


class Layer(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.feed_forward, self.dropout = GeluFeedForward(16, 32, p), nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.feed_forward(x))


class Network(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.layers, self.last = nn.ModuleList(Layer(p) for _ in range(4)), nn.Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def test_layers_that_drop_share_a_compilation_and_what_is_not_compiled_drops_as_torch_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[str] = []

    def trace(graph: torch.fx.GraphModule, _: object) -> object:  # the compiler itself is torch's
        drawn.append(graph.code)
        return graph.forward

    network, first = Network(0.25), nn.Linear(16, 16)
    monkeypatch.setattr(compilation, "BACKEND", trace)
    torch._dynamo.reset()
    with compilation.compiled(compilation.compile_blocks({"": network}, training=True)):
        found = network(first(torch.randn(200, 16)))
        assert len(drawn) == 1 and drawn[0].count("randint") == 2 and "dropout" not in drawn[0]
        torch.manual_seed(5)
        last = network.last(torch.ones(1000))
        network.eval()
        assert torch.equal(network(torch.ones(2, 16)), network(torch.ones(2, 16)))
    assert "randint" not in drawn[1]
    torch.manual_seed(5)
    assert torch.equal(last, functional.dropout(torch.ones(1000), 0.25))
    assert 0.2 < float((found == 0).float().mean()) < 0.3
    assert not any("forward" in vars(part) for part in network.modules())


def test_more_numbers_than_places_have_numbers_are_dropped_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(dropout, "MOST_PLACES", 1000)
    drop, few, many = nn.Dropout(0.25), torch.ones(999), torch.ones(1000)
    for x, drawn in ((few, lambda: hashed_dropout(few, 0.25)), (many, lambda: functional.dropout(many, 0.25))):
        torch.manual_seed(5)
        found = dropout.forward_of(drop, x)
        torch.manual_seed(5)
        assert torch.equal(found, drawn())


def test_generating_leaves_dropouts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    assert all(not isinstance(module, nn.Dropout) for module, *_ in compilation.compile_blocks({"": Network(0.25)}))


class Own(nn.Dropout):
    """Drops in a way of its own."""


def test_only_plain_dropouts_are_drawn_by_the_hash_and_a_shared_one_is_named_once() -> None:
    shared = nn.Dropout(0.25)
    network = nn.Sequential(shared, Own(0.25), nn.Dropout2d(0.25), shared)
    found = [module for module, *_ in compilation.compile_blocks({"": network, "same": network}, training=True)]
    assert [part for part in found if isinstance(part, nn.Dropout | nn.Dropout2d)] == [shared]
