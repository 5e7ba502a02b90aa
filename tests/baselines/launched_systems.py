"""Trains tiny systems as `torchrun` does, in several processes, but forked, so that torch is imported once for all.

    python launched_systems.py ENCODER RUNS

ENCODER is the folder of the text encoder, or of the model that `hf` tunes. RUNS is JSON, a list of `Run`; each begins
when the one before has ended. The log then has every step. What is printed is JSON too, an `Ending` of each run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import BUDGET, LIMITS, TRAINING, fit, make, with_training

from baselines.autoregressive.hf import HFRecipe, HFSystem
from baselines.contract import Budget
from cosmos.training import loop
from cosmos.training.config import TrainingConfig
from cosmos.training.distributed import ASKED


@dataclass(frozen=True)
class Run:
    """Systems that are trained one after the other.

    Attributes:
        stop: after so many steps the training of each system ends by an error, in all of its processes.
        parts: each process holds a part of the weights.
    """

    folder: str
    names: Sequence[str]
    processes: int = 1
    steps: int = 50
    stop: int = -1
    parts: bool = False


@dataclass(frozen=True)
class Ending:
    """How a run has ended: by rank, the systems whose training was stopped; resume points in its folder."""

    stopped: dict[str, list[str]]
    points: list[str]


class StopError(Exception):
    """Ends a training from outside."""


def at_rates_of(recipe: Any, preset: Any) -> Any:
    """A recipe whose trainings learn as fast as those of a preset.

    Tiny systems learn up to 50 times as fast as any recipe of theirs. At such rates a gradient that is nearly rounding
    moves a weight so far that the loss tells, first that of a student: it begins as its teacher, so its loss is a
    thousandth of what the two say, and its gradient has up to three digits less than others.
    """
    changes = {}
    for field in fields(recipe):
        own, other = getattr(recipe, field.name), getattr(preset, field.name)
        if isinstance(own, TrainingConfig):
            changes[field.name] = replace(own, learning_rate=other.learning_rate)
        elif is_dataclass(own) and is_dataclass(other):
            changes[field.name] = at_rates_of(own, other)
    return replace(recipe, **changes)


def train(run: Run, encoder: Path) -> list[str]:
    """What each process does; the names of systems that were stopped."""
    loop.LOG_EVERY, stopped = 1, []
    for name in run.names:
        system: Any = (
            HFSystem(HFRecipe(TRAINING, BUDGET, model=str(encoder)), LIMITS) if name == "hf" else make(name, encoder)
        )
        recipe = at_rates_of(system.recipe, system.presets["nano"])
        system = type(system)(with_training(recipe, checkpoint_seconds=0.0), system.limits)
        passed = iter(range(10**6))

        def progress(stage: str, share: float, loss: float | None, passed=passed) -> None:
            if stage != "encode" and next(passed) == run.stop:  # which the first process alone tells
                raise StopError

        try:
            fit(system, Path(run.folder) / name, Budget(run.steps, "steps"), progress=progress)
        except StopError:
            stopped.append(name)
    return stopped


def launched(run: Run, encoder: Path) -> Ending:
    """A run. This process trains nothing by itself: who has may not fork."""
    os.environ[ASKED] = str(run.parts).lower()
    if run.processes == 1:
        with ProcessPoolExecutor(1, get_context("fork")) as pool:
            stopped = {0: pool.submit(train, run, encoder).result()}
    else:
        here = LaunchConfig(
            1,
            1,
            run.processes,
            run_id="tiny",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            start_method="fork",
            max_restarts=0,
        )
        stopped = elastic_launch(here, train)(run, encoder)
    points = sorted(path.name for path in Path(run.folder).rglob("*.resume.safetensors"))
    return Ending({str(rank): names for rank, names in stopped.items()}, points)


if __name__ == "__main__":
    torch.set_num_threads(1)
    encoder, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
    print(json.dumps([asdict(launched(Run(**run), encoder)) for run in runs]))
