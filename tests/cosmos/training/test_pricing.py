"""The price of a training step: that of the steps there will be, and nothing is left changed by counting it."""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cosmos.runtime.rng import CounterRNG
from cosmos.training import loop, pricing
from cosmos.training.batches import Batch, EpochSampler
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig, TrainingRun
from cosmos.training.distributed import Processes, find_processes
from cosmos.training.loop import TrainingStage, train
from cosmos.training.step import OptimiserStep

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_training import STEP_FLOPS, run

WIDTH, ROWS, SEED = 4, 300, 7
CONFIG = TrainingConfig(batch_size=8, validations=0)


class Trimmed:
    """Rows of many lengths, short ones first, whose batches are trimmed to the longest row."""

    lengths = 2 + (torch.arange(ROWS).double() / ROWS).square().mul(60).long()

    def __len__(self) -> int:
        return ROWS

    def batch(self, index: Tensor) -> Batch:
        return {"x": torch.ones(len(index), int(self.lengths[index].max()), WIDTH)}


def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
    """One product forward and one backward for every position, dropout, and no more."""
    return nn.functional.dropout(model(batch["x"]), 0.5, model.training).square().sum(), torch.tensor(1.0)


def position_flops(steps: range) -> float:
    """What the positions of these steps cost, on average over the steps, in closed form."""
    order, rows = EpochSampler(ROWS, SEED), Trimmed()
    lengths = [rows.batch(order.rows(8 * step, 8 * step + 8))["x"].shape[1] for step in steps]
    return 2 * 2 * 8 * WIDTH * WIDTH * statistics.fmean(lengths)


def fit(workdir: Path, budget: Budget, model: nn.Module | None = None, **changes: Any) -> Any:
    stage = TrainingStage("s", model or nn.Linear(WIDTH, WIDTH), loss, Trimmed())
    return train(stage, CONFIG, budget, TrainingRun(workdir, SEED, "cpu", **changes))


@pytest.mark.parametrize("steps", [1, 7, 16, 60, 400])
def test_the_price_is_the_mean_of_the_steps_there_are(tmp_path: Path, steps: int) -> None:
    trained = fit(tmp_path, Budget(steps, "steps"))
    # A few steps are all counted; of many, those that are lie evenly over the lengths.
    assert trained.flops / steps == pytest.approx(position_flops(range(steps)), rel=1e-9 if steps <= 16 else 0.01)
    first_rows = 2 * 2 * 8 * WIDTH * WIDTH * int(Trimmed.lengths[:8].max())
    assert first_rows < 0.5 * trained.flops / steps


def test_a_budget_in_flops_buys_what_it_pays_for(tmp_path: Path) -> None:
    budget = 250 * position_flops(range(250))
    trained = fit(tmp_path, Budget(budget, "flops"))
    real = trained.steps * position_flops(range(trained.steps))
    assert trained.flops == pytest.approx(real, rel=0.01)
    assert 0.98 * budget < real < 1.01 * budget


def test_few_steps_are_counted_where_time_is_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    measure = pricing.measure_flops
    monkeypatch.setattr(pricing, "measure_flops", lambda work: counted.append(1) or measure(work))
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) * 0.01)
    trained = fit(tmp_path, Budget(1.0, "seconds"))
    assert len(counted) == pricing.COUNTED_FOR_SECONDS
    assert trained.flops > 0


def test_counting_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    generator, weights = torch.get_rng_state(), []
    for name, price in (("counted", loop.flops_per_step), ("told", lambda *_: 1.0)):
        monkeypatch.setattr(loop, "flops_per_step", price)
        torch.manual_seed(5)
        model = nn.Linear(WIDTH, WIDTH)
        torch.set_rng_state(generator)
        fit(tmp_path / name, Budget(20, "steps"), model)
        assert torch.equal(torch.get_rng_state(), generator)
        assert all(parameter.grad is None for parameter in model.parameters())
        weights.append(model.weight.detach().clone())
    assert torch.equal(*weights)


class Several(Processes):
    """Processes that share a batch, as far as its price asks about them."""

    @property
    def count(self) -> int:
        return 2


class Reader(nn.Module):
    """What no row is needed for, attention, dropout, and states of which masked positions are read."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.inner, self.head = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor, read: Tensor, kept: list[weakref.ref[Tensor]]) -> Tensor:
        hidden = self.inner(x + self.start(torch.ones(WIDTH))).sin()
        kept.append(weakref.ref(hidden))
        attended = nn.functional.scaled_dot_product_attention(*(hidden[:, None],) * 3)[:, 0]
        return self.head(nn.functional.dropout(attended, 0.5)[read]).square().sum()


@pytest.mark.parametrize("micro_batch_size", [None, 3])
def test_a_step_has_one_price_however_many_processes_make_it_and_none_keeps_activations(
    micro_batch_size: int | None,
) -> None:
    rows = {"x": torch.ones(8, 5, WIDTH), "read": torch.arange(40).view(8, 5) % 3 == 0}
    one = find_processes("cpu")
    config, kept = replace(CONFIG, micro_batch_size=micro_batch_size), []
    step = OptimiserStep(Reader(), config, one, SEED)
    alive: list[int] = []

    def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        total = model(batch["x"], batch["read"], kept)
        alive.append(sum(found() is not None for found in kept))
        return total, torch.tensor(1.0)

    prices, parts = [], 3 if micro_batch_size else 1
    for processes in (one, Several(one.accelerator, one.device)):
        step.processes = processes
        prices.append(pricing.step_flops(step, loss, rows, 0))
    assert prices[0] == prices[1] > 0
    assert alive == [1] * parts + [0] * parts
    assert all(parameter.grad is None for parameter in step.model.parameters())


def test_a_resumed_training_keeps_its_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1.0)
    budget = Budget(30 * STEP_FLOPS, "flops")

    def stop(stage: str, share: float, loss: float | None) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 1, budget=budget, progress=stop)
    monkeypatch.setattr(loop, "flops_per_step", lambda *_: pytest.fail("counted again"))
    assert run(tmp_path, 1, budget=budget).flops == 30 * STEP_FLOPS
    assert run(tmp_path, 1, budget=budget).flops == 30 * STEP_FLOPS  # finished: read back
    assert json.loads((tmp_path / "tiny.trained.json").read_text())["trained"]["steps"] == 30
