"""Training with compiled blocks learns what training without does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from cosmos.runtime import compilation
from cosmos.training import loop

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_training import run, tiny


class Layered(nn.Module):
    """A network with repeated blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(tiny(dropout=0.0) for _ in range(8))

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


def test_compiled_blocks_learn_the_same_and_are_left_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[object] = []

    def trace(graph: torch.fx.GraphModule, _: object) -> object:  # the compiler itself is torch's
        graphs.append(graph)
        return graph.forward

    torch.manual_seed(0)
    plain = Layered()
    blocks = Layered()
    blocks.load_state_dict(plain.state_dict())
    run(tmp_path / "plain", 6, model=plain)
    monkeypatch.setattr(compilation, "BACKEND", trace)
    monkeypatch.setattr(loop, "flops_per_step", lambda *_: 1.0)  # `train` itself prices steps before it compiles blocks
    with compilation.compiled(compilation.compile_blocks({"": blocks}, training=True)):
        run(tmp_path / "compiled", 6, model=blocks)
    assert 0 < len(graphs) < len(blocks.blocks)  # all blocks share them
    assert all("forward" not in vars(block) for block in blocks.blocks)
    for one, other in zip(plain.parameters(), blocks.parameters(), strict=True):
        torch.testing.assert_close(one, other)
