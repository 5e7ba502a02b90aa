"""Rows on their way to a device; tests/gpu/test_uploading.py has those that go anywhere."""

from __future__ import annotations

import torch

from cosmos.training.uploads import Uploads


def test_a_processor_takes_rows_where_they_are() -> None:
    rows = {"tokens": torch.arange(6).view(2, 3)}
    assert Uploads(torch.device("cpu")).begin(rows).wait() is rows
