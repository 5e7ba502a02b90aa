"""No training step asks for values, copies from the host or has shapes that depend on data: it can be recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from baselines import registry
from baselines.common.static_shapes import summed_nll
from baselines.common.token_rows import encode_pairs
from baselines.common.transformer import TrunkConfig
from baselines.contract import Budget
from baselines.token_diffusion import mdlm, sedd
from baselines.token_diffusion.system import TokenDenoiser
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import SEP, Vocabulary
from cosmos.training.batches import Batch, Rows
from cosmos.training.step import OptimiserStep

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import CORPUS, LIMITS, PAIRS, SYSTEMS, fit, make, with_training

WAITING = {  # `lift_fresh` is a tensor made of numbers, which a GPU would be sent
    "_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "unique_dim", "_unique2", "bincount", "equal",
}  # fmt: skip


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


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_a_step_waits_for_nothing(
    name: str, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = make(name, encoder_folder)
    watch, run = Watch(), OptimiserStep._run

    def watched(self: OptimiserStep, rows: Rows) -> None:
        with watch, monkeypatch.context() as patch:
            patch.setattr(self, "recorded", True)  # as on a GPU
            run(self, rows)

    monkeypatch.setattr(OptimiserStep, "_run", watched)
    recorded = type(tiny)(with_training(tiny.recipe, cuda_graph=True), LIMITS)
    fit(recorded, tmp_path, Budget(6, "steps"))
    assert watch.seen > 100
    assert not watch.found


def test_the_watch_sees_what_waits() -> None:
    for waits in (lambda x: x[x > 0], lambda x: float(x.sum()), lambda x: x.new_tensor(3), lambda x: x.nonzero()):
        with Watch() as watch:
            waits(torch.ones(3))
        assert watch.found


Loss = Callable[[], tuple[Tensor, Tensor]]
AnyShapes = Callable[[bool], tuple[Tensor, Tensor]]  # given whether shapes must be static


def value_and_gradient(model: nn.Module, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, weight, and the gradient of all parameters."""
    model.zero_grad()
    total, weight = loss()
    (total / weight).backward()
    return total.detach(), weight, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest relative difference, which is NaN where anything is not finite or nothing is expected."""
    return float(
        torch.stack([(a - b).double().norm() / b.double().norm() for a, b in zip(found, expected, strict=True)]).max()
    )


def change(model: nn.Module, loss: AnyShapes) -> float:
    """What reading out positions that cost nothing changes in a loss and its gradient."""
    found, expected = (value_and_gradient(model, partial(loss, static)) for static in (True, False))
    return difference(found, expected)


@pytest.mark.parametrize("name", ["mdlm", "sedd"])
def test_static_shapes_change_no_bound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    bound, time_width = {"mdlm": (mdlm.bound, 0), "sedd": (sedd.absorb_bound, 16)}[name]
    model = TokenDenoiser(TrunkConfig(32, 2, 2, 64, time_width=time_width), 300, 20, 12, 1)
    sequence = torch.randint(5, 300, (16, 20))
    sequence[torch.arange(20) >= torch.randint(1, 20, (16, 1))] = SEP
    rows, t = {"sequence": sequence, "source": torch.randint(5, 300, (16, 12))}, torch.linspace(1e-3, 1, 16).double()
    # Nothing keeps what the network says of open positions from growing, and it must not reach the gradient.
    masked = CounterRNG(torch.arange(16)).uniform(20) < (1.0 - sedd.SCHEDULES["absorb"].alpha(t))[:, None]
    lm_head = model.lm_head

    def wild(states: Tensor) -> Tensor:
        return lm_head(states) + (500.0 * ~masked[..., None] if states.ndim == 3 else 0.0)

    shapes: list[torch.Size] = []
    monkeypatch.setattr(model, "lm_head", lambda states: shapes.append(states.shape) or wild(states))
    assert change(model, lambda static: bound(model, Batch(rows, static), t, CounterRNG(torch.arange(16)))) < 1e-5
    assert [len(shape) for shape in shapes] == [3, 2], "static shapes read every position, others the masked ones"


def test_static_shapes_change_no_sum_over_tokens() -> None:
    torch.manual_seed(0)
    model, states, tokens = nn.Linear(8, 50), torch.randn(6, 9, 8), torch.randint(5, 50, (6, 9))
    counts = torch.arange(9) < torch.randint(1, 9, (6, 1))
    assert change(model, lambda static: (summed_nll(model(states), tokens, counts, static), counts.sum())) < 1e-5


def test_placed_targets_are_those_of_joined_rows() -> None:
    kind: Any = registry.find("gpt2")
    pairs = encode_pairs(CORPUS.train, Vocabulary.of([text for pair in PAIRS for text in pair]), LIMITS)
    found = []
    for record in (False, True):
        preset = kind.presets["nano"]
        recipe = replace(preset, dropout=0.0, training=replace(preset.training, cuda_graph=record, batch_size=8))
        torch.manual_seed(0)
        system = kind(recipe, LIMITS)
        model = system.build({"vocabulary": 64, **system.shape(pairs)})
        batch = system.batches(pairs, {}).batch(torch.tensor([3, 0, 11, 7, 19]))
        assert ("target_positions" in batch) == record
        found.append(value_and_gradient(model, partial(system.losses()[0], model, batch, CounterRNG(torch.arange(5)))))
    assert difference(*found) < 1e-5
