"""Batches made ahead are those of the steps, in order; and what goes wrong in the thread is told."""

from __future__ import annotations

import pytest
import torch

from cosmos.training.batches import Prefetcher, Rows


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
