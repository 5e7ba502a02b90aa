"""No training step asks for values, copies from the host or has shapes that depend on data: it can be recorded."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from baselines import catalogue, choosing
from baselines.contract import Budget
from cosmos.optimiser_step import OptimiserStep
from cosmos.training_config import TrainingConfig

sys.path.insert(0, str(Path(__file__).parent))
from tiny_rivals import CORPUS, LIMITS

SYSTEMS = ("cosmos", "gpt2", "mdlm", "sedd", "duo", "tencdm", "ld4lg", "diffuseq")
WAITING = {  # `lift_fresh` is a tensor made of numbers, which a GPU would be sent
    "_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "unique_dim", "_unique2", "bincount", "equal",
}  # fmt: skip


def recording(recipe: Any) -> Any:
    """The recipe with every training recorded, in batches of 8."""
    changes: dict[str, Any] = {}
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, TrainingConfig):
            changes[field.name] = replace(value, record=True, batch_size=8)
        elif is_dataclass(value) and not isinstance(value, Budget):
            changes[field.name] = recording(value)
    return replace(recipe, **changes)


class Watch(TorchDispatchMode):
    """Notes operations that a recording cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.seen = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.name().removeprefix("aten::").split(".")[0]
        chooses = name.startswith(("index", "_index_put")) and len(args) > 1 and isinstance(args[1], (list, tuple))
        if name in WAITING or (chooses and any(isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1])):
            self.found.add(name)
        self.seen += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_step_waits_for_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "counts_freely", lambda tensor: False)  # as on an accelerator
    kind: Any = catalogue.find(name)
    watch, run = Watch(), OptimiserStep._run

    def watched(self: OptimiserStep, batch: dict[str, Tensor]) -> None:
        with watch:
            run(self, batch)

    monkeypatch.setattr(OptimiserStep, "_run", watched)
    kind(recording(kind.presets["nano"]), LIMITS).fit(CORPUS, Budget(6, "steps"), tmp_path, seed=0, device="cpu")
    assert watch.seen > 100
    assert not watch.found


def test_the_watch_sees_what_waits() -> None:
    for waits in (lambda x: x[x > 0], lambda x: float(x.sum()), lambda x: x.new_tensor(3), lambda x: x.nonzero()):
        with Watch() as watch:
            waits(torch.ones(3))
        assert watch.found
