"""Batches: made ahead in the order of the steps, from permutations, with noise of each row's own."""

from __future__ import annotations

import pytest
import torch

from cosmos.training.batches import EpochSampler, Prefetcher, Rows, hashed, row_seeds


@pytest.mark.parametrize("depth", [0, 3])
def test_batches_come_in_the_order_of_the_steps(depth: int) -> None:
    made: list[int] = []

    def make(step: int) -> Rows:
        made.append(step)
        return {"x": torch.tensor([step])}

    with Prefetcher(make, 5, depth) as ahead:
        assert [int(ahead.take()["x"]) for _ in range(4)] == [5, 6, 7, 8]
    assert made == list(range(5, 5 + len(made))) and len(made) <= 4 + depth


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_reaches_whoever_asks_for_the_batch(depth: int) -> None:
    def make(step: int) -> Rows:
        if step == 1:
            raise OSError("the disk is gone")
        return {}

    with Prefetcher(make, 0, depth) as ahead:
        ahead.take()
        with pytest.raises(OSError, match="the disk is gone"):
            ahead.take()


def test_every_epoch_is_a_permutation_and_batches_cross_epochs() -> None:
    order = EpochSampler(10, seed=5)
    rows = torch.cat([order.rows(start, start + 7) for start in range(0, 70, 7)])
    for epoch in rows.view(7, 10):
        assert epoch.sort().values.tolist() == list(range(10))
    assert not torch.equal(rows[:10], rows[10:20])
    assert torch.equal(EpochSampler(10, seed=5).rows(33, 36), rows[33:36])  # from anywhere, without what came before
    assert not torch.equal(EpochSampler(10, seed=6).rows(0, 10), rows[:10])
    assert EpochSampler(3, seed=0).rows(0, 8).numel() == 8


def test_noise_of_a_row_does_not_depend_on_how_the_batch_is_shared() -> None:
    device, base = torch.device("cpu"), hashed(3, "noise", 12)
    whole = row_seeds(base, 0, 8, device).normal(4)
    assert torch.equal(
        torch.cat([row_seeds(base, 0, 4, device).normal(4), row_seeds(base, 4, 8, device).normal(4)]), whole
    )
    assert not torch.equal(row_seeds(hashed(3, "noise", 13), 0, 8, device).normal(4), whole)
