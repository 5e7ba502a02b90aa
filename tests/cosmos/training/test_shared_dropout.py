"""Dropout of processes that share a batch, each asked in turn in this one."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cosmos.runtime.rng import CounterRNG
from cosmos.training.batches import rows_of
from cosmos.training.shared_dropout import DropoutOfWhole
from cosmos.training.step import OptimiserStep

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_training import CONFIG

B, RANKS = 8, 2


def of_rank(rank: int) -> DropoutOfWhole:
    return DropoutOfWhole(torch.arange(rank, B, RANKS), B, CounterRNG(torch.tensor([-1 - rank])))


class CallsItself(nn.Module):
    """Drops without a module for it, as networks of a BART do."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, p=0.5, training=self.training)


@pytest.mark.parametrize("network", [nn.Dropout(0.5), CallsItself()], ids=["module", "function"])
def test_each_row_loses_what_it_loses_where_one_process_has_all(network: nn.Module) -> None:
    x = torch.rand(2 * B, 5, 3)  # two rows for each of the batch
    torch.manual_seed(7)
    one = network(x)
    found = torch.empty_like(x)
    for rank in range(RANKS):
        mine = torch.cat([torch.arange(rank, B, RANKS) + copy * B for copy in range(2)])
        torch.manual_seed(7)
        with of_rank(rank):
            found[mine] = network(x[mine])
    assert torch.equal(found, one) and 0 < (one == 0).sum() < one.numel()
    network.eval()
    with of_rank(0):
        assert torch.equal(network(x), x)
    network.train()


def test_what_is_no_row_of_the_batch_is_drawn_by_each_process_for_itself() -> None:
    x, drawn = torch.ones(3, 400), []
    for rank in range(RANKS):
        torch.manual_seed(7)
        with of_rank(rank):
            drawn += [functional.dropout(x, 0.25), functional.dropout(x, 0.25)]
    assert len({tuple(mask.flatten().tolist()) for mask in drawn}) == 4
    for mask in drawn:
        assert mask.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
        assert abs(float((mask == 0).float().mean()) - 0.25) < 0.06


def masks(
    rank: int, count: int, parts: list[Tensor], monkeypatch: pytest.MonkeyPatch, micro: int | None = None
) -> Tensor:
    """What one of several processes draws in a step for parts of its rows."""
    processes: Any = types.SimpleNamespace(count=count, rank=rank, device=torch.device("cpu"))
    config, drawn = dataclasses.replace(CONFIG, batch_size=B, micro_batch_size=micro), []
    step = OptimiserStep(nn.Linear(2, 2), config, processes, 3)

    def run(rows: Any) -> None:
        with step._networks_as_they_run():
            drawn.extend(functional.dropout(part, 0.5) for part in parts)

    monkeypatch.setattr(step, "_run", run)
    step._step({}, 0, 0.1)
    return torch.cat(drawn)


def test_a_step_in_parts_has_other_masks_in_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "broadcast", lambda value, source: None)
    x = torch.ones(B, 50)
    one = masks(0, 1, [x], monkeypatch)
    for rank in range(RANKS):
        own = one[list(rows_of(B, rank, RANKS))]
        assert torch.equal(masks(rank, RANKS, [x[: len(own)]], monkeypatch, micro=4), own)
    apart = torch.cat([masks(rank, RANKS, [x[:2], x[:2]], monkeypatch, micro=2) for rank in range(RANKS)])
    assert len({tuple(row) for row in apart.tolist()}) == B, "two rows of a batch lose the same"
