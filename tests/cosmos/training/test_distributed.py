"""How a process finds the others that train."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cosmos.training.distributed import ASKED, find_processes


@pytest.mark.parametrize("asked", ["true", None])
def test_accelerate_is_not_told_to_divide_what_is_divided_here_or_stays_whole(
    asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told so, it makes parts of its own of every network that is given to it."""
    seen: list[str | None] = []

    def accelerator(**_: Any) -> SimpleNamespace:
        seen.append(os.environ.get(ASKED))
        return SimpleNamespace(num_processes=1, device=torch.device("cpu"))

    monkeypatch.setattr("accelerate.Accelerator", accelerator)
    monkeypatch.setenv(ASKED, asked or "")
    if asked is None:
        monkeypatch.delenv(ASKED)
    find_processes("cpu")
    assert seen == [None] and os.environ.get(ASKED) == asked
