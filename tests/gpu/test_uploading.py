"""Batches that are copied while steps run: none is read before it is there, or written over before it was read."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosmos.runtime.cuda_graphs import CudaGraphCache
from cosmos.training.batches import Prefetcher
from cosmos.training.uploads import Uploaded, Uploads

pytestmark = pytest.mark.gpu

STEPS, ROWS = 60, 1 << 20


@pytest.mark.parametrize("recorded", [False, True])
def test_every_step_reads_its_own_rows_whole(recorded: bool, device: str) -> None:
    where = torch.device(device)
    uploads = Uploads(where)

    def made(step: int) -> Uploaded:
        return uploads.begin({"numbers": torch.arange(ROWS) * (step + 1)})

    weights = torch.randn(4096, 4096, device=where)
    sums = torch.zeros(STEPS, dtype=torch.int64, device=where)
    place = torch.zeros((), dtype=torch.int64, device=where)

    def step(numbers: Tensor) -> None:
        for _ in range(4):
            weights @ weights  # so that the device is behind
        sums.index_add_(0, place[None], numbers.sum()[None])
        place.add_(1)

    graphs = CudaGraphCache(4, device=where, updates_state=True, error_mode="thread_local")
    with Prefetcher(made, 0, 4, 2) as ahead:
        for _ in range(STEPS):
            rows = ahead.take().wait()
            if recorded:
                graphs("step", step, rows["numbers"])
            else:
                step(rows["numbers"])
            del rows
    once = ROWS * (ROWS - 1) // 2
    assert sums.tolist() == [once * (number + 1) for number in range(STEPS)]
