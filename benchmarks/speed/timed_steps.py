"""Timing of training steps: the project's own loop on random rows, watched from outside while it runs."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from baselines.contract import RandomTraining, SupportsRandomTraining, TrainingResult
from benchmarks.timing import memory
from benchmarks.timing.clock import Clock

OUTLIER = 2.0  # blocks that take so many medians are left out: a shape came up that was not there before


@dataclass(frozen=True)
class StepCounts:
    """Steps in which whatever comes up comes up, and the blocks after them, each timed as a whole."""

    warm: int
    blocks: int
    block: int

    @property
    def all(self) -> int:
        return self.warm + self.blocks * self.block


LONG, SHORT = StepCounts(24, 6, 8), StepCounts(8, 6, 4)


@dataclass(frozen=True)
class TimedSteps:
    """What steps took.

    Attributes:
        blocks: seconds of one step in each block, without outliers.
        preparation: seconds in which shapes were compiled and recorded.
        flops: of one step, padding included.
        batch: rows of a step.
        peak_bytes: of GPU memory; None on a CPU.
    """

    blocks: tuple[float, ...]
    preparation: float
    flops: float
    batch: int
    peak_bytes: int | None

    @property
    def seconds(self) -> float:
        """Of one step."""
        return statistics.fmean(self.blocks)


def train(
    system: SupportsRandomTraining, asked: RandomTraining, device: str, watch: Callable[[int], None]
) -> tuple[TrainingResult, int]:
    """Train in a folder that is thrown away; `watch` is told the number of each step before it."""

    def progress(stage: str, share: float, loss: float | None) -> None:
        watch(round(share * asked.steps))

    with tempfile.TemporaryDirectory(prefix="steps-") as folder:
        return system.train_on_random_rows(asked, Path(folder), device=device, progress=progress)


def measure(system: SupportsRandomTraining, asked: RandomTraining, device: str, counts: StepCounts) -> TimedSteps:
    """Train as asked, but as many steps as `counts` says, and time blocks of them."""
    memory.forget_peak(device)
    clock, times = Clock(device), []

    def watch(step: int) -> None:
        if step >= counts.warm and (step - counts.warm) % counts.block == 0:
            times.append(clock.now())

    trained, batch = train(system, replace(asked, steps=counts.all), device, watch)
    blocks = [(end - start) / counts.block for start, end in itertools.pairwise(times)]
    usual = OUTLIER * statistics.median(blocks)
    prepared = trained.notes.get("preparation", {}).get("seconds", 0.0)
    kept = tuple(block for block in blocks if block <= usual)
    return TimedSteps(kept, prepared, trained.flops / trained.steps, batch, memory.gpu_peak_bytes(device))
