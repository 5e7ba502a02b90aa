"""What the training loop costs around a step that costs nearly nothing."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from cosmos.training import loop as training
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig, TrainingRun
from cosmos.training.loop import TrainingStage, train

sys.path.insert(0, str(Path(__file__).parent))
from calibration import units

sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
from tiny_training import TensorDataset

STEP_UNITS = 16.0  # of `calibration`, a step; 10.3 were measured


@pytest.mark.slow
def test_the_loop_itself_costs_little_a_step(tmp_path: Path) -> None:
    """Beyond what a plain loop takes for the same steps."""
    rows, config = TensorDataset({"x": torch.randn(4096, 8)}), TrainingConfig(batch_size=32)
    steps, names = 300, itertools.count()

    def square(model: nn.Module, batch: training.Batch, seeds: object) -> tuple[torch.Tensor, torch.Tensor]:
        return model(batch["x"]).square().sum(), torch.tensor(32.0)

    def ours(steps: int) -> float:
        started = time.process_time()
        stage = TrainingStage("tiny", nn.Linear(8, 8), square, rows)
        train(stage, config, Budget(steps, "steps"), TrainingRun(tmp_path / str(next(names)), 0, "cpu"))
        return time.process_time() - started

    def plain() -> float:
        model, batch = nn.Linear(8, 8), rows.batch(torch.arange(32))
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        started = time.process_time()
        for _ in range(steps):
            total, weight = square(model, batch, None)
            (total / weight).backward()
            optimizer.step()
            optimizer.zero_grad()
        return time.process_time() - started

    ours(2)
    loop, step = units(lambda: (ours(steps + 10) - ours(10)) / steps), units(lambda: plain() / steps)
    print(f"a step costs {loop:.1f} units in our loop, {step:.1f} in a plain one")
    assert loop - step < STEP_UNITS
