"""A stage's stream: with one of its own no step repeats the rows, the noise or the dropout of another stage."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from cosmos.runtime.rng import CounterRNG
from cosmos.training.batches import Batch, EpochSampler, hashed

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_training

STEPS, SEED = 4, 3


def seen(folder: Path, stream: str) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Rows, noise and dropout of each step of a training."""
    rows, noise, dropout = [], [], []

    def loss(model: nn.Module, batch: Batch, seeds: CounterRNG) -> tuple[Tensor, Tensor]:
        if model.training:
            rows.append(batch["x"].clone())
            noise.append(seeds.rows(slice(None)).normal(2))
            with torch.random.fork_rng(devices=[]):
                dropout.append(torch.rand(5))
        return tiny_training.loss(model, batch, seeds)

    tiny_training.run(folder, STEPS, loss=loss, stream=stream)
    return rows[-STEPS:], noise[-STEPS:], dropout[-STEPS:]


def test_a_stage_with_a_stream_repeats_nothing_of_one_without(tmp_path: Path) -> None:
    found = [seen(tmp_path / f"run{number}", stream) for number, stream in enumerate(("", "adaptation", "distilled-4"))]
    for kind in range(3):
        for step in range(STEPS):
            one, two, three = (found[number][kind][step] for number in range(3))
            assert not (torch.equal(one, two) or torch.equal(one, three) or torch.equal(two, three))
    again = seen(tmp_path / "again", "adaptation")
    for ours, theirs in zip(again, found[1], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_without_a_stream_all_follows_from_the_runs_seed(tmp_path: Path) -> None:
    rows, noise, _ = seen(tmp_path, "")
    size, order, data = tiny_training.CONFIG.batch_size, EpochSampler(tiny_training.ROWS, SEED), tiny_training.data()
    for step in range(STEPS):
        assert torch.equal(rows[step], data.batch(order.rows(step * size, (step + 1) * size))["x"])
        seeds = CounterRNG(torch.arange(size) + hashed(SEED, "noise", step))
        assert torch.equal(noise[step], seeds.normal(2))
