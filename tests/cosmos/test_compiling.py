"""Blocks are compiled in place, compute the same, and are left as they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from cosmos.compiling import compile_blocks, compiled, repeated_blocks


class Layer(nn.Module):
    """A block."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.map(x))


class Stack(nn.Module):
    """Three equal blocks and something else."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Layer() for _ in range(3))
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.last(x)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Compile by tracing alone, which needs no compiler for the machine; how many graphs were traced."""
    graphs: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> object:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    plain = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: plain(module, backend=backend))
    torch._dynamo.reset()
    yield graphs
    torch._dynamo.reset()


def test_equal_blocks_share_one_compilation_and_compute_the_same(traced: list[int]) -> None:
    torch.manual_seed(0)
    network, x = Stack(), torch.randn(5, 4, requires_grad=True)
    names, plain = list(network.state_dict()), network(x)
    with compiled(network, True):
        assert all(block._compiled_call_impl is not None for block in repeated_blocks(network))
        torch.testing.assert_close(network(x), plain)
        assert list(network.state_dict()) == names
    assert len(traced) == 1
    assert all(block._compiled_call_impl is None for block in repeated_blocks(network))


def test_not_wanted_is_not_done(traced: list[int]) -> None:
    network = Stack()
    with compiled(network, False):
        network(torch.ones(1, 4))
    assert not traced


def test_what_was_compiled_before_stays_so(traced: list[int]) -> None:
    network = Stack()
    compile_blocks(network)
    before = [block._compiled_call_impl for block in repeated_blocks(network)]
    with compiled(network, True):
        network(torch.ones(1, 4))
    assert [block._compiled_call_impl for block in repeated_blocks(network)] == before
