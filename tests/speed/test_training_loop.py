"""What the training loop costs around a step that costs nearly nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from cosmos import training
from cosmos.budget import Budget
from cosmos.training import TensorBatches, TrainingConfig, train


@pytest.mark.slow  # for a machine of its own
def test_the_loop_itself_takes_less_than_a_millisecond_a_step(tmp_path: Path) -> None:
    rows, config = TensorBatches({"x": torch.randn(4096, 8)}), TrainingConfig(batch_size=32)

    def square(model: nn.Module, batch: training.Batch, seeds: object) -> tuple[torch.Tensor, torch.Tensor]:
        return model(batch["x"]).square().sum(), torch.tensor(32.0)

    def cost(steps: int) -> float:
        started = time.process_time()
        train(
            nn.Linear(8, 8), square, rows, config=config, budget=Budget(steps, "steps"), workdir=tmp_path / str(steps),
            seed=0, device="cpu", flops_per_step=1.0, stage="tiny",
        )  # fmt: skip
        return time.process_time() - started

    cost(2)
    loop = (cost(1010) - cost(10)) / 1000
    model, batch = nn.Linear(8, 8), rows.batch(torch.arange(32))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    started = time.process_time()
    for _ in range(1000):
        total, weight = square(model, batch, None)
        (total / weight).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loop - (time.process_time() - started) / 1000 < 1e-3
