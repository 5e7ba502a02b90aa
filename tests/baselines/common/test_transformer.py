"""The trunk that rivals share: who sees whom, dropout in training alone, sizes that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.common.transformer import Trunk, TrunkConfig
from baselines.contract import UserError
from cosmos.models.blocks import Rotary

ROTARY = Rotary(8, 6)


def trunk(**changes: Any) -> Trunk:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Trunk(TrunkConfig(16, 2, 2, 32, **changes)).double()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_every_position_sees_every_other(x: Tensor) -> None:
    network, changed = trunk(), x.clone()
    changed[:, 4] += 1.0
    differs = (network(x, ROTARY) - network(changed, ROTARY)).abs().amax((0, 2)) > 1e-6
    assert differs.all()


def test_dropout_is_for_training_alone(x: Tensor) -> None:
    plain, dropping = trunk(), trunk(dropout=0.5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first, second = dropping.train()(x, ROTARY), dropping(x, ROTARY)
    assert not torch.equal(first, second)
    assert torch.equal(plain.train()(x, ROTARY), dropping.eval()(x, ROTARY))


@pytest.mark.parametrize(
    "bad",
    [{"heads": 3}, {"width": 0}, {"heads": 0}, {"inner": 0}, {"layers": -1}, {"time_width": 7}, {"dropout": 1.0}],
)
def test_sizes_that_cannot_be_are_refused_in_one_sentence(bad: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        TrunkConfig(**{"width": 16, "layers": 2, "heads": 2, "inner": 32, **bad})
    assert "\n" not in str(caught.value)
