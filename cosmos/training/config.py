"""How training is configured, what it reports, and its learning rate. Standard library only, so recipes load fast."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cosmos.io.errors import UserError, unknown
from cosmos.io.typed_json import AnyFloat, AnyJson
from cosmos.training.budget import Budget

Keep = Literal["last", "best"]
Precision = Literal["auto", "float32", "bfloat16"]

Progress = Callable[[str, float, float | None], None]
"""`progress(stage, share of the budget used in [0, 1], loss or None)`; called at every step, must return at once."""


def silent(stage: str, share: float, loss: float | None) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. Sizes and rates are those of the whole (global) batch."""

    batch_size: int = 64  # over all processes together
    micro_batch_size: int | None = None  # rows of a process worked on at once; None: all of the batch that it has
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
    keep: Keep = "last"  # which weights are returned, by validation loss
    precision: Precision = "auto"  # auto: bfloat16 where a GPU has it
    compile: bool | Literal["auto"] = False  # the repeated blocks, on a GPU; auto: where the budget pays for it
    cuda_graph: bool = False  # steps as CUDA graphs, on one GPU: small networks wait for launches otherwise
    length_buckets: int = 0  # lengths that batches are padded to; 0: as many as pay, on a GPU whose shapes are fixed
    checkpoint_seconds: float = 20.0  # shortest time between resume points

    def __post_init__(self) -> None:
        for kind, name, options in (("keep", self.keep, Keep), ("precision", self.precision, Precision)):
            if name not in get_args(options):
                raise unknown(kind, name, get_args(options))
        within = {
            "batch_size must be at least 1": self.batch_size >= 1,
            "batch_size must be at most a million": self.batch_size <= 1_000_000,
            "micro_batch_size must be at least 1": self.micro_batch_size is None or self.micro_batch_size >= 1,
            "micro_batch_size must be at most batch_size": (self.micro_batch_size or 1) <= self.batch_size,
            "learning_rate must be positive": 0 < self.learning_rate < math.inf,
            "final_learning_rate must not be negative": 0 <= self.final_learning_rate < math.inf,
            "warmup_share must lie in [0, 1)": 0 <= self.warmup_share < 1,
            "betas must lie in [0, 1)": all(0 <= beta < 1 for beta in self.betas),
            "eps must be positive": self.eps > 0,
            "weight_decay must not be negative": self.weight_decay >= 0,
            "clip_norm must be positive": self.clip_norm > 0,
            "ema_decay must lie in [0, 1)": self.ema_decay is None or 0 <= self.ema_decay < 1,
            "validations must not be negative": self.validations >= 0,
            "validations must be at most a million": self.validations <= 1_000_000,
            "warmup_steps must not be negative": self.warmup_steps is None or self.warmup_steps >= 0,
            "length_buckets must not be negative": self.length_buckets >= 0,
            "length_buckets must be at most 64": self.length_buckets <= 64,
            "checkpoint_seconds must not be negative": self.checkpoint_seconds >= 0,
        }
        for rule, holds in within.items():
            if not holds:
                raise UserError(f"Training cannot run: {rule}, not {getattr(self, rule.split()[0])}.")

    def ignored_keys(self) -> dict[str, str]:
        reasons = {}
        if self.warmup_steps is not None:
            reasons["warmup_share"] = "the warm-up is counted in steps; set {}warmup_steps, or set that to none"
        if self.validations == 0:
            reasons["keep"] = "no validation loss is measured; set {}validations above 0"
        return reasons


@dataclass(frozen=True)
class TrainingRun:
    """Where a training works and what it begins from; all its stages share it.

    Attributes:
        made_of: a hash of all else that decides its end, such as the texts; what began with another does not go on.
    """

    workdir: Path  # for caches, resume points and logs
    seed: int
    device: str
    progress: Progress = silent
    made_of: str = ""

    def encoded(self, share: float) -> None:
        self.progress("encode", share, None)


@dataclass(frozen=True)
class TrainingResult:
    """What a training, or one stage of it, cost and reached.

    Seconds and FLOPs include every attempt that was resumed (of one that was killed, up to its last resume point);
    seconds include validation, resume points and counting what a step costs. `validation_loss` is that of the weights
    kept. `notes` hold what JSON can: of a stage, `best_share`, the share of the budget where that loss was lowest, and
    `validation_losses`, pairs of a step and its loss.
    """

    steps: int
    seconds: float
    flops: float
    validation_loss: AnyFloat | None
    notes: AnyJson


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
