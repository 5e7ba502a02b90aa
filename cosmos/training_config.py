"""How training is configured, what it reports, and its learning rate. Standard library only, so recipes load fast."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cosmos.budget import Budget

Progress = Callable[[str, float, float | None], None]
"""`progress(stage, share of the budget used in [0, 1], loss or None)`; called at every step, must return at once."""


def silent(stage: str, share: float, loss: float | None) -> None:
    """A `Progress` that shows nothing."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. Sizes and rates are those of the whole (global) batch."""

    batch_size: int = 64  # over all processes together
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.0  # at the end of the budget (cosine); equal to learning_rate: constant
    warmup_share: float = 0.05  # of the budget, where warmup_steps is None
    warmup_steps: int | None = None
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.0  # on all parameters, as the release has it
    clip_norm: float = 1.0
    ema_decay: float | None = 0.999  # ramped as min(decay, (1 + n) / (10 + n)); None: no average
    validations: int = 8  # how often validation loss is measured over the budget
    keep: Literal["last", "best"] = "last"  # which weights are returned, by validation loss
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where a GPU has it
    checkpoint_seconds: float = 20.0  # shortest time between resume points


@dataclass(frozen=True)
class Trained:
    """What training cost and reached.

    Seconds are those of the loop, validation and resume points included, over all attempts (of an attempt that was
    killed, up to its last resume point). `validation_loss` is that of the weights returned, `best_share` the share of
    the budget where it was lowest; `history` holds (step, validation loss).
    """

    steps: int
    seconds: float
    flops: float
    validation_loss: float | None
    best_share: float | None
    history: tuple[tuple[int, float], ...]


def learning_rate(config: TrainingConfig, step: int, share: float) -> float:
    """The rate of step `step` (from 0) when `share` of the budget is used: linear warm-up, then half a cosine."""
    if config.warmup_steps is not None:
        warm, start = (step + 1) / max(1, config.warmup_steps), 0.0
    else:
        warm, start = share / config.warmup_share if config.warmup_share > 0 else 1.0, config.warmup_share
    decayed = min(1.0, max(0.0, share - start) / max(1e-12, 1.0 - start))
    cosine = 0.5 * (1.0 + math.cos(math.pi * decayed))
    return min(1.0, warm) * (config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine)


def total_steps(budget: Budget, flops_per_step: float) -> int | None:
    """Steps that a budget buys, at least one; None where it is in seconds."""
    if budget.unit == "seconds":
        return None
    return max(1, round(budget.amount) if budget.unit == "steps" else int(budget.amount // flops_per_step))
