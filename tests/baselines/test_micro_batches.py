"""A batch worked on in parts gives the gradients of the whole, whatever the system: losses are weighted by their
tokens, and no row's noise, time or coin depends on the part that it is in."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from baselines.contract import Budget, UserError
from cosmos.training.batches import Rows
from cosmos.training.config import TrainingConfig
from cosmos.training.step import OptimiserStep

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import SYSTEMS, few, fit, make


def gradients(step: OptimiserStep, rows: Rows, size: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and its weight, and all gradients as one vector, without dropout, which is drawn for all rows together."""
    before, step.config = step.config, dataclasses.replace(step.config, micro_batch_size=size)
    step.model.eval()
    sums = step._gradients(rows)
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in step.parameters.values()]
    step.optimizer.zero_grad(set_to_none=True)
    step.model.train()
    step.config = before
    return sums, torch.cat([gradient.flatten() for gradient in found])


TOGETHER = {"cosmos-joint"}  # whose losses standardise the latents of a batch together


@pytest.mark.parametrize("name", few(name for name in SYSTEMS if name not in TOGETHER))
def test_parts_have_the_gradients_of_the_whole(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, seen = OptimiserStep._run, []

    def compare(self: OptimiserStep, rows: Rows) -> None:
        if int(self.steps) == 1:  # the first step leaves what begins with zeros
            whole, parts = gradients(self, rows, None), gradients(self, rows, 3)
            for one, other in zip(whole, parts, strict=True):
                torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6 * float(one.abs().max()) + 1e-9)
            every, self.rows = self.rows, self.rows[:3]
            alone = gradients(self, {name: value[:3] for name, value in rows.items()}, None)[1]
            self.rows = every
            seen.append(float((alone - whole[1]).abs().max() / whole[1].abs().max()))
        run(self, rows)

    monkeypatch.setattr(OptimiserStep, "_run", compare)
    fit(make(name, encoder_folder), tmp_path, Budget(16, "steps"))
    assert len(seen) == len(SYSTEMS[name].stages)
    assert all(difference > 1e-2 for difference in seen), "a part has the gradients of the whole by itself"


@pytest.mark.parametrize("name", sorted(TOGETHER))
def test_a_batch_that_is_standardised_together_has_no_parts(name: str, encoder_folder: Path) -> None:
    training = make(name, encoder_folder).recipe.training
    with pytest.raises(UserError, match=r"leave training\.micro_batch_size out"):
        make(name, encoder_folder, training=dataclasses.replace(training, micro_batch_size=2))


def test_parts_are_of_the_batch() -> None:
    for size in (0, 9):
        with pytest.raises(UserError, match="micro_batch_size must be at"):
            TrainingConfig(batch_size=8, micro_batch_size=size)
