"""How training is configured: the learning rate over the budget, and what cannot work."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from cosmos.io.errors import UserError
from cosmos.training.config import TrainingConfig, learning_rate

sys.path.insert(0, str(Path(__file__).parents[1]))


def test_the_learning_rate() -> None:
    config = TrainingConfig(learning_rate=2.0, final_learning_rate=0.5, warmup_share=0.1)
    assert learning_rate(config, 0, 0.05) == pytest.approx(1.0)
    assert learning_rate(config, 0, 0.1) == pytest.approx(2.0)
    assert learning_rate(config, 0, 0.55) == pytest.approx(1.25)  # half way down
    assert learning_rate(config, 0, 1.0) == pytest.approx(0.5)
    constant = TrainingConfig(learning_rate=2.0, final_learning_rate=2.0, warmup_steps=4)
    assert [learning_rate(constant, step, 0.5) for step in (0, 1, 3, 9)] == [0.5, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"learning_rate": math.nan}, "learning_rate must be positive"),
        ({"ema_decay": 1.0}, "ema_decay must lie in"),
        ({"precision": "bfloat32"}, "Unknown precision 'bfloat32'; did you mean"),
        ({"keep": "first"}, "Unknown keep 'first'"),
    ],
)
def test_settings_that_cannot_work_are_user_errors(change: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        TrainingConfig(**change)  # type: ignore[arg-type]
