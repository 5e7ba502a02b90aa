"""Tests that need a CUDA device; elsewhere they are collected and skipped."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def device() -> str:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return "cuda"
