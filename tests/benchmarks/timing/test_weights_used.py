"""How often networks really worked is seen on their weights, however called; strange weights are told apart."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from benchmarks.timing.audit.generated import weights_used
from benchmarks.timing.audit.weights_used import watched
from cosmos.runtime.flops import measure_flops


class Block(nn.Module):
    """Two products, a table that is looked up, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.up, self.down = nn.Embedding(5, 8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.table(torch.zeros(len(x), dtype=torch.long))
        x = functional.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None])[0, 0]
        made: torch.Tensor = self.down(torch.relu(self.up(x)))
        return made


def often(call: Callable[[torch.Tensor], torch.Tensor], times: int) -> Callable[[], None]:
    def work() -> None:
        x = torch.ones(3, 8)
        for _ in range(times):
            x = call(x)

    return work


MODES = {
    "plain": lambda work: work,
    "no grad": lambda work: torch.no_grad()(work),
    "inference": lambda work: torch.inference_mode()(work),
    "autocast": lambda work: torch.autocast("cpu", dtype=torch.bfloat16)(work),
}


@pytest.mark.parametrize("mode", MODES)
def test_weights_are_read_once_a_call(mode: str) -> None:
    block = Block()
    for call in (block, block.forward):
        seen = watched({"block": block}, MODES[mode](often(call, 7)))
        assert seen.calls == {"block": 7.0}
        assert seen.flops > 0
        assert seen.strange_flops == 0


def test_an_idle_network_and_one_within_another() -> None:
    """Whose weights belong to one within it is told by the rest of its weights."""
    inner, idle = Block(), Block()
    outer = nn.Sequential(inner, nn.Linear(8, 8))
    shown = {"outer": outer, "inner": inner, "idle": idle}
    assert watched(shown, often(inner, 4)).calls == {"outer": 0.0, "inner": 4.0, "idle": 0.0}
    assert watched(shown, often(outer, 2)).calls == {"outer": 2.0, "inner": 2.0, "idle": 0.0}


@pytest.mark.parametrize("cast", [lambda w: w, lambda w: w.double().float(), lambda w: w.clone().t().contiguous().t()])
def test_products_with_hidden_weights_are_strange(cast: Callable[[torch.Tensor], torch.Tensor]) -> None:
    shown, hidden = Block(), nn.Parameter(torch.ones(8, 8))
    seen = watched({"shown": shown}, torch.no_grad()(lambda: torch.ones(3, 8) @ cast(hidden)))
    assert seen.strange_flops == seen.flops == 2 * 3 * 8 * 8
    assert seen.calls == {"shown": 0.0}


def test_what_is_made_meanwhile_is_not_strange() -> None:
    """Nor is a cache that was there before and is written first."""
    shown, cache = Block(), torch.zeros(8, 8)

    def work() -> None:
        cache[:] = torch.ones(8, 8)
        x = torch.ones(3, 8)
        shown(x @ cache @ (torch.ones(8, 8) * 2))

    seen = watched({"shown": shown}, torch.inference_mode()(work))
    assert seen.strange_flops == 0
    assert seen.operations > 0


def test_a_product_with_shown_weights_is_that_networks_whatever_goes_in() -> None:
    shown = nn.Linear(8, 8)
    for noise in (lambda: torch.tensor([[0.5] * 8] * 3), lambda: torch.from_numpy(np.ones((3, 8), np.float32))):
        seen = watched({"shown": shown}, torch.no_grad()(lambda make=noise: shown(make())))
        assert seen.flops > 0
        assert seen.strange_flops == 0


def test_a_mask_of_attention_is_no_weight() -> None:
    mask, shown = torch.zeros(4, 4), nn.Linear(8, 8)

    def work() -> None:
        x = torch.ones(1, 1, 4, 8) * 2
        functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)

    seen = watched({"shown": shown}, torch.inference_mode()(work))
    assert seen.strange_flops == 0


def test_weights_have_the_same_numbers_twice_and_noise_has_not() -> None:
    hidden, seeds, shown = np.ones((8, 8)), iter(range(9)), nn.Linear(8, 8)

    def noise() -> None:
        x = torch.from_numpy(np.random.default_rng(next(seeds)).standard_normal((3, 8)))
        x @ x.T

    def weights() -> None:
        (torch.from_numpy(hidden) * 2).relu() @ torch.from_numpy(hidden)

    for work, share in ((noise, 0.0), (weights, 1.0)):
        first, second = watched({"shown": shown}, work), watched({"shown": shown}, work)
        assert first.strange_flops == first.flops > 0
        assert first.strange_again(second) == share * first.flops


def test_threads_that_are_begun_meanwhile_are_seen() -> None:
    """Also one whose class has a `run` of its own; when nobody looks any more, threads are as ever."""

    class Runs(threading.Thread):
        def run(self) -> None:
            with torch.no_grad():
                shown(torch.ones(3, 8))

    def work() -> None:
        for thread in (Runs(), threading.Thread(target=lambda: shown.forward(torch.ones(3, 8)))):
            thread.start()
            thread.join()

    shown = nn.Linear(8, 8)
    seen = watched({"shown": shown}, work)
    assert seen.calls == {"shown": 2.0}
    assert measure_flops(work) == seen.flops == 2 * 2 * 3 * 8 * 8
    assert threading.getprofile() is None


@pytest.mark.parametrize(("times", "outcome"), [(2, "cannot tell"), (0, "found")])
def test_where_nobody_has_imported_torch_it_is_not_imported(
    times: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can have worked on its tensors then, and to import it takes longer than a small run."""
    hooks: list[Callable[..., None]] = []

    def register(hook: Callable[..., None]) -> SimpleNamespace:
        hooks.append(hook)
        return SimpleNamespace(remove=hooks.clear)

    def generate(*_: object) -> list[Any]:
        return [hook(None, (), None) for _ in range(times) for hook in hooks]

    system: Any = SimpleNamespace(generate=generate)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "benchmarks.timing.audit.weights_used", None)  # so that importing it fails
        patch.delitem(sys.modules, "torch")
        [checked] = weights_used(system, None, [], [], {"network": SimpleNamespace(register_forward_hook=register)})
    assert (checked.check, checked.outcome) == ("network calls", outcome)
