"""What training is charged is what it computes: every trained system at its nano sizes, counted step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from baselines import registry
from baselines.contract import Budget, Corpus
from benchmarks.data.built_in import World, WorldOptions
from benchmarks.tasks import find as find_task
from cosmos.runtime.flops import measure_flops
from cosmos.training import resume
from cosmos.training.step import OptimiserStep

# Cosmos with other numbers of latents differs in nothing that a charge depends on.
TRAINED = [name for name in registry.SYSTEMS.built_in if registry.find(name).trained and "cosmos-" not in name]
STEPS = 16  # of all stages together; the longest make ten times as many as are counted to know the price


@pytest.mark.parametrize("name", TRAINED)
def test_the_charge_is_what_is_counted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted, charges = [0.0], []
    step, finish = OptimiserStep._run, resume.finish

    def count(self: OptimiserStep, batch: dict[str, Tensor]) -> None:
        counted[0] += measure_flops(lambda: step(self, batch))

    def charge(workdir: Path, stage: str, tensors: Any, arguments: Any, trained: Any) -> None:
        charges.append((stage, trained.steps, trained.flops, counted[0]))
        counted[0] = 0.0
        finish(workdir, stage, tensors, arguments, trained)

    monkeypatch.setattr(OptimiserStep, "_run", count)
    monkeypatch.setattr(resume, "finish", charge)
    task, world = find_task("detox"), World(WorldOptions(train=64))
    kind: Any = registry.find(name)
    system = kind(kind.presets["nano"], task.limits)
    corpus = Corpus(world.load("detox", "train"), world.load("detox", "validation", 8))
    system.fit(corpus, Budget(STEPS, "steps"), tmp_path / "fit", seed=0, device="cpu")
    assert charges
    for stage, steps, charged, real in charges:
        assert charged == pytest.approx(real, rel=0.01), f"{stage}, {steps} steps"
