"""What training is charged is what it computes: every trained system at tiny sizes, counted step by step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from baselines import registry
from baselines.contract import Budget
from cosmos.runtime.flops import measure_flops
from cosmos.training import resume
from cosmos.training.step import OptimiserStep

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import SYSTEMS, few, fit, make

STEPS = 60  # of all stages together; the longest make ten times as many as are counted to know the price


@pytest.fixture(autouse=True)
def _few_steps_are_counted() -> None:
    """As many are counted as in any training."""


@pytest.mark.parametrize("name", few(SYSTEMS))
def test_the_charge_is_what_is_counted(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    fit(make(name, encoder_folder), tmp_path / "fit", Budget(STEPS, "steps"))
    assert {stage for stage, *_ in charges} == set(SYSTEMS[name].stages)
    for stage, steps, charged, real in charges:
        assert charged == pytest.approx(real, rel=0.01), f"{stage}, {steps} steps"


def test_every_trained_system_has_tiny_sizes() -> None:
    """Cosmos with another number of latents is Cosmos, and differs in nothing that a charge depends on; `hf` has no
    sizes of its own, and is tested with models of each kind (autoregressive/test_hf.py)."""
    names = {name for name in registry.SYSTEMS.built_in if registry.find(name).trained}
    same = {*(f"cosmos-{latents}" for latents in (8, 16, 32, 64, 128)), "cosmos-full"}
    assert names - same - {"hf"} == {tiny.system.name for tiny in SYSTEMS.values()}
