"""What token diffusions read where positions cannot be looked at: few of them, never all logits, and the same texts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from baselines.common import static_shapes
from baselines.contract import Limits, Request
from baselines.token_diffusion.duo import Revising
from baselines.token_diffusion.masked_settings import Remasking, Unmasking
from baselines.token_diffusion.reading import LogitReading
from baselines.token_diffusion.sedd import Scoring
from benchmarks.speed import measure, work
from cosmos.config import MINILM
from cosmos.models import token_reading
from cosmos.runtime import compilation
from cosmos.runtime.flops import measure_flops

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny_systems

LENGTH, TEXTS, WORDS, LEAST_ROWS = 12, 40, 1500, 64
REQUESTS = [Request(str(n), None, 7 * n + 1, LENGTH - 1) for n in range(TEXTS)]
MASKED: list[tuple[str, Any]] = [
    ("mdlm", Unmasking("ancestral", 16)),
    ("mdlm", Unmasking("ancestral", 3, top_p=0.9)),
    ("mdlm", Unmasking("cached", 16)),
    ("mdlm", Unmasking("first_hitting", 4)),
    ("mdlm", Unmasking("first_hitting", 5, top_p=0.9)),
    ("mdlm", Unmasking("confidence", 4)),
    *[("mdlm", Remasking(rule, 8, eta=0.1, top_p=0.9)) for rule in ("cap", "rescale", "conf", "loop")],
]
CASES = [
    *MASKED,
    ("sedd", Scoring("analytic", 4)),
    ("sedd_uniform", Scoring("analytic", 4)),
    ("sedd_uniform", Scoring("euler", 4)),
    ("duo", Revising(4, top_p=0.9)),
    ("duo", Revising(3, greedy_tail=True)),
]


def untrained(name: str) -> Any:
    tiny = tiny_systems.SYSTEMS[name]
    system: Any = tiny.system(tiny.recipe(MINILM), Limits(0, LENGTH))
    system.untrained(WORDS, seed=3, device="cpu", dtype="float32")
    return system


@pytest.fixture
def no_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator."""
    monkeypatch.setattr(static_shapes, "can_index_by_mask", lambda tensor: False)


class Watched(TorchDispatchMode):
    """Notes the largest tensor that an operation makes, and operations whose results have sizes that depend on data."""

    def __init__(self) -> None:
        super().__init__()
        self.largest, self.waits = 0, set[str]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.name().removeprefix("aten::").split(".")[0]
        chosen = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in ("nonzero", "masked_select", "masked_scatter", "equal") or any(
            isinstance(i, Tensor) and i.dtype == torch.bool for i in chosen
        ):
            self.waits.add(name)
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, Tensor):
                self.largest = max(self.largest, value.numel())
        return result


@pytest.mark.usefixtures("no_looking")
@pytest.mark.parametrize(("name", "setting"), CASES)
def test_no_logits_of_all_positions_are_made_and_nothing_is_waited_for(
    name: str, setting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = untrained(name)
    monkeypatch.setitem(token_reading.READ_LOGITS, "cpu", 1)
    whole = system.generate(REQUESTS, setting)
    with Watched() as watched, torch.inference_mode():
        tokens = system.sample(setting, *system.inputs(REQUESTS, "off"))
    size = system.model.tokens.num_embeddings
    assert tokens.numel() > 6 * LEAST_ROWS
    assert LEAST_ROWS * size <= watched.largest < 1.3 * LEAST_ROWS * size  # of a chunk, and what pads it
    assert not watched.waits
    monkeypatch.undo()
    assert system.generate(REQUESTS, setting) == whole


def of_all_logits(
    self: LogitReading, states: Tensor, lm_head: Callable[[Tensor], Tensor], _: int
) -> tuple[Tensor, ...]:
    """As it was: logits of all positions, what is made of them, and then what is wanted of that."""
    found = self.rows(lm_head(states), *self.columns, **self.constants)
    return found if self.index is None else tuple(each.flatten()[self.index] for each in found)


@pytest.mark.parametrize("source", [False, True], ids=["alone", "with source"])
@pytest.mark.parametrize(("name", "setting"), CASES)
def test_texts_are_those_of_all_logits(
    name: str,
    setting: Any,
    source: bool,
    trained: Callable[[str], tiny_systems.Trained],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system: Any = trained(name).system if source else untrained(name)
    requests = tiny_systems.REQUESTS if source else REQUESTS
    with monkeypatch.context() as patch:
        patch.setattr(LogitReading, "of", of_all_logits)
        expected = system.generate(requests, setting)
    assert system.generate(requests, setting) == expected
    monkeypatch.setattr(static_shapes, "can_index_by_mask", lambda tensor: False)
    assert system.generate(requests, setting) == expected
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    assert system.generate(requests, replace(setting, capture="compile")) == expected


@pytest.mark.usefixtures("no_looking")
def test_the_table_is_multiplied_with_what_is_read_alone() -> None:
    system = untrained("mdlm")
    table = system.model.tokens.weight
    with torch.inference_mode():
        states = measure_flops(lambda: system.model.states(system.masks(TEXTS), None))
    length = system.loaded_shape["length"]
    assert length == 11
    reads = {
        Unmasking("first_hitting", 3): 3 * 4 * TEXTS,
        Unmasking("confidence", 3): 3 * 11 * TEXTS,
        Unmasking("ancestral", 3): 3 * 288,  # of 440; 147 on average
        Unmasking("ancestral", 11): 11 * 128,  # 40 on average
        Unmasking("cached", 11): 11 * 160,  # 63 on average of those that have one
        Unmasking("cached", 1): 440,
    }
    for setting, positions in reads.items():
        found = measure_flops(lambda s=setting: system.generate(REQUESTS, s))
        assert found == setting.steps * states + 2 * positions * table.numel()


@pytest.mark.parametrize(("name", "setting"), MASKED)
@pytest.mark.parametrize("looking", [True, False])
def test_speed_counts_what_each_call_reads(
    name: str, setting: Any, looking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_shapes, "can_index_by_mask", lambda tensor: looking)
    system = untrained(name)
    counted = work.count(system.networks(), lambda: system.generate(REQUESTS, setting))
    assert counted.flops == measure_flops(lambda: system.generate(REQUESTS, setting))
    bench = measure.Bench(system, LENGTH, "cpu", 0.01)
    assert set(bench.calls(setting, 3)) == {"mdlm"}
    texts = bench.work(setting, 3).texts
    assert texts == (1 if getattr(setting, "sampler", None) == "confidence" else 3)


def test_room_is_exceeded_next_to_never() -> None:
    """By the tail of a Poisson distribution, above that of as many independent draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static_shapes, "can_index_by_mask", lambda tensor: False)
        of = torch.empty(1 << 12, 1 << 10, device="meta")
        for mean in torch.logspace(-4, 5, 40, dtype=torch.float64).tolist():
            room = static_shapes.room_for(mean, of)
            assert room % 16 == 0 and room < mean + 10 * mean**0.5 + 26
            beyond = torch.special.gammainc(torch.tensor(room + 1.0, dtype=torch.float64), torch.tensor(mean).double())
            assert float(beyond) < 1e-18
        assert static_shapes.room_for(5e6, of) == of.numel()
