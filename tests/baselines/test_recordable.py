"""No training step asks for values, copies from the host or has shapes that depend on data: it can be recorded."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from baselines import registry
from baselines.autoregressive.gpt2 import target_nll
from baselines.common.static_shapes import most_masked
from baselines.common.token_rows import encode_pairs
from baselines.common.transformer import TrunkConfig
from baselines.contract import Budget
from baselines.token_diffusion import mdlm, sedd
from baselines.token_diffusion.system import TokenDenoiser, strata
from cosmos.models.token_head import choose, first_of, summed_nll, take
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import SEP, Vocabulary
from cosmos.training.batches import Batch, EpochSampler, Rows
from cosmos.training.buckets import Batches, positions_to_read
from cosmos.training.step import OptimiserStep

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import CORPUS, LIMITS, PAIRS, SYSTEMS, few, fit, make, with_training

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


@pytest.mark.parametrize("name", few(SYSTEMS))
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
    module, time_width = {"mdlm": (mdlm, 0), "sedd": (sedd, 16)}[name]
    bound = {"mdlm": mdlm.bound, "sedd": sedd.absorb_bound}[name]
    model = TokenDenoiser(TrunkConfig(32, 2, 2, 64, time_width=time_width), 300, 20, 12, 1)
    sequence = torch.randint(5, 300, (64, 20))
    sequence[torch.arange(20) >= torch.randint(1, 20, (64, 1))] = SEP
    rows, t = {"sequence": sequence, "source": torch.randint(5, 300, (64, 12))}, torch.linspace(1e-3, 1, 64).double()
    # Nothing keeps what the network says of open positions from growing, and it must not reach the gradient.
    masked = CounterRNG(torch.arange(64)).uniform(20) < (1.0 - sedd.SCHEDULES["absorb"].alpha(t))[:, None]
    states_of, read, sizes = model.states, module.chunked_loss, []

    def wild(*given: Any) -> Tensor:
        states = states_of(*given)
        return states + 1e5 * torch.randn_like(states) * ~masked[..., None]

    def noted(loss: Any, states: Tensor, *rest: Any, **options: Any) -> Tensor:
        sizes.append(len(states))
        return read(loss, states, *rest, **options)

    monkeypatch.setattr(model, "states", wild)
    monkeypatch.setattr(module, "chunked_loss", noted)
    assert change(model, lambda static: bound(model, Batch(rows, static), t, CounterRNG(torch.arange(64)))) < 1e-5
    assert sizes == [most_masked(64, 20), int(masked.sum())], (
        "static shapes read a fixed number, others the masked ones"
    )
    assert int(masked.sum()) < most_masked(64, 20) < 64 * 20


@pytest.mark.parametrize(("rows", "length"), [(16, 20), (256, 66), (512, 128)])
def test_no_more_positions_are_masked_than_there_is_room_for(rows: int, length: int) -> None:
    room = []
    for step in range(40):
        seeds = CounterRNG(torch.arange(rows) + 1000 * step)
        chances = 1e-3 + (1.0 - 1e-3) * strata(seeds)
        room.append(most_masked(rows, length) - int((seeds.uniform(length) < chances[:, None]).sum()))
    assert min(room) > 5 * math.sqrt(rows * length / 6) or most_masked(rows, length) == rows * length
    assert most_masked(256, 66) < 0.58 * 256 * 66


@pytest.mark.parametrize("fixed", [True, False])
def test_reading_out_tokens_alone_changes_no_sum(fixed: bool) -> None:
    torch.manual_seed(0)
    model, states, tokens = nn.Linear(8, 50), torch.randn(6, 9, 8), torch.randint(5, 50, (6, 9))
    mapped, counts = nn.Linear(8, 8), torch.arange(9) < torch.randint(1, 9, (6, 1))
    both = nn.ModuleList((model, mapped))

    def loss(chosen: bool) -> tuple[Tensor, Tensor]:
        if not chosen:
            nll = functional.cross_entropy(model(mapped(states)).flatten(0, 1), tokens.flatten(), reduction="none")
            return (nll * counts.flatten()).sum(), counts.sum()
        positions = positions_to_read(counts, fixed)
        assert (len(positions) > counts.sum()) == fixed
        index, scored = choose(counts, positions)
        read = take(mapped(states).flatten(0, 1), index, scored)
        return summed_nll(read, model.weight, tokens.flatten()[index], scored.float(), model.bias), counts.sum()

    assert change(both, loss) < 1e-5


@pytest.mark.parametrize("most", [3, 7, 12])
def test_the_first_places_are_found_without_asking(most: int) -> None:
    scored = torch.tensor([False, True, True, False, True, False, True, False, True, True])
    index, counts = first_of(scored, most)
    assert len(index) == most
    assert index[counts].tolist() == [1, 2, 4, 6, 8, 9][:most]


def test_placed_targets_are_those_of_joined_rows() -> None:
    kind: Any = registry.find("gpt2")
    pairs = encode_pairs(CORPUS.train, Vocabulary.of([text for pair in PAIRS for text in pair]), LIMITS)
    found = []
    for fixed in (False, True):
        recipe = replace(kind.presets["nano"], dropout=0.0)
        torch.manual_seed(0)
        system = kind(recipe, LIMITS)
        model = system.build({"vocabulary": 64, **system.shape(pairs)})
        data = system.batches(pairs, {})
        sizes = (data.longest,) if fixed else ()
        batches = Batches(data, EpochSampler(len(data), 5), sizes, 5, slice(0, 5), 5, system.scored, fixed)
        batch = Batch(batches(0), fixed)
        scored = system.scored(batch)
        assert batch["tokens"].shape[1] == data.longest if fixed else batch["tokens"].shape[1] < data.longest
        assert (batch["positions"] >= 0).sum() == scored.sum() < scored.numel()
        found.append(value_and_gradient(model, partial(system.losses()[0], model, batch, CounterRNG(torch.arange(5)))))
        starts, ends = batch["starts"], batch["ends"]
        exact, counts = target_nll(model, batch["tokens"], starts, ends)
        assert found[-1][0] == pytest.approx(float(exact.detach().sum()), rel=1e-5)
        assert found[-1][1] == counts.sum()
    assert difference(*found) < 1e-5
