"""Measuring training steps: the project's own `fit` on made-up texts, timed from outside while it runs."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.contract import Budget, Limits
from benchmarks.planning.overrides import override
from benchmarks.speed.measure import empty, peak_bytes
from benchmarks.timing.clock import Clock

WARM_STEPS, BLOCKS, BLOCK_STEPS = 8, 6, 4  # the first steps compile; then blocks, each timed as a whole


@dataclass(frozen=True)
class TimedStage:
    """One stage of a training: its name as `fit` tells it, its configuration's in the recipe, and whether it comes
    first."""

    name: str
    training: str
    first: bool


# The two stages of Cosmos, by name.
STAGES = {
    "autoencoder": TimedStage("autoencoder", "autoencoder_training", True),
    "diffusion": TimedStage("diffusion", "diffusion_training", False),
}
SHARE = "autoencoder_share"


@dataclass(frozen=True)
class Steps:
    """Seconds of a step (the mean of each block), FLOPs of a step, and the most GPU memory."""

    preparation: tuple[float, ...]
    seconds: tuple[float, ...]
    flops: float
    peak_bytes: int | None


class _Watch:
    """The progress of a `fit`, and the time when each block of steps of one stage ends."""

    def __init__(self, stage: str, steps: int, clock: Clock) -> None:
        self.stage, self.steps, self.clock = stage, steps, clock
        self.times: list[float] = []

    def __call__(self, stage: str, share: float, loss: float | None) -> None:
        if stage != self.stage:
            return
        step = round(share * self.steps)
        if step == 0 or (step >= WARM_STEPS and (step - WARM_STEPS) % BLOCK_STEPS == 0):
            self.times.append(self.clock.now())

    def result(self) -> tuple[float, tuple[float, ...]]:
        """Seconds of the first steps, and of one step in each block after them."""
        begun, *ends = self.times
        blocks = tuple((end - start) / BLOCK_STEPS for start, end in itertools.pairwise(ends))
        return ends[0] - begun, blocks


def measure(system: type[Any], recipe: Any, stage: TimedStage, *, length: int, vocabulary: int, device: str) -> Steps:
    """Train a few steps of one stage (and one of the other) in a folder that is thrown away."""
    empty(device)
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        limits = Limits(0, length)
        batch = getattr(recipe, stage.training).batch_size
        short, corpus = system(recipe, limits).rehearsal(vocabulary, batch, Path(folder) / "encoder")
        steps = WARM_STEPS + BLOCKS * BLOCK_STEPS
        share = steps / (steps + 1) if stage.first else 1 / (steps + 1)
        short = dataclasses.replace(short, **{SHARE: share})
        for other in STAGES.values():
            config = getattr(short, other.training)
            if other is not stage and hasattr(config, "compile"):  # its only step is not worth that
                short = dataclasses.replace(short, **{other.training: override(config, {"compile": False}, "training")})
        watch = _Watch(stage.name, steps, Clock(device))
        fitted = system(short, limits).fit(
            corpus, Budget(steps + 1, "steps"), Path(folder) / "fit", seed=0, device=device, progress=watch
        )
    preparation, seconds = watch.result()
    cost = fitted.notes[stage.name]
    flops = cost["flops"] / cost["steps"]
    return Steps((preparation,), seconds, flops, peak_bytes(device))
