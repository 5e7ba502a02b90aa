"""What a loss is given where processes share a batch: all that it has, though its rows are rebuilt on the way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cosmos.training.batches import Batch
from cosmos.training.distributed import Objective


def test_a_rebuilt_batch_keeps_what_it_has_besides_rows() -> None:
    seen: list[Batch] = []

    def loss(model: nn.Module, batch: Batch, seeds: None) -> tuple[Tensor, Tensor]:
        seen.append(batch)
        return batch["x"].sum(), torch.tensor(1.0)

    batch = Batch({"x": torch.ones(2)}, True, torch.tensor(0.25))
    rebuilt = type(dict(batch))(batch.items())  # as processes that share GPUs do with every dict
    Objective(nn.Linear(1, 1), loss)(rebuilt, batch.static_shapes, batch.progress, None)
    assert isinstance(seen[0], Batch)
    assert seen[0].static_shapes
    assert seen[0].progress is not None and float(seen[0].progress) == 0.25
    assert torch.equal(seen[0]["x"], batch["x"])
