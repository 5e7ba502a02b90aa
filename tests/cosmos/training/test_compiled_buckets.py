"""Compiled blocks and losses with batches of several lengths: what is learnt without, by the compiler of the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosmos.config import LADDER, AutoencoderConfig
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.standardiser import Standardiser
from cosmos.runtime import compilation
from cosmos.runtime.rng import initialised
from cosmos.stages import autoencoder_objective, of_tokens
from cosmos.training.batches import Rows
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingConfig, TrainingResult, TrainingRun
from cosmos.training.loop import TrainingStage, train
from cosmos.training.resume import weights
from cosmos.training.step import OptimiserStep

WIDTH, VOCABULARY, LONGEST, ROWS = 16, 60, 24, 64
SIZES = AutoencoderConfig(WIDTH, 8, 16, 4, 2, 2, LONGEST, VOCABULARY, dropout=0.0)


class Texts:
    """Random states and tokens of many lengths."""

    longest = LONGEST

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.lengths = torch.randint(3, LONGEST + 1, (ROWS,), generator=random)
        self.states = torch.randn(ROWS, LONGEST, WIDTH, generator=random)
        self.tokens = torch.randint(5, VOCABULARY, (ROWS, LONGEST), generator=random)

    def __len__(self) -> int:
        return ROWS

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        length = length or int(self.lengths[index].max())
        mask = torch.arange(length) < self.lengths[index][:, None]
        tokens = self.tokens[index, :length] * mask
        return {"states": self.states[index, :length] * mask[..., None], "mask": mask, "tokens": tokens}


def fit(folder: Path, steps: int = 24, **changes: object) -> tuple[TrainingResult, dict[str, Tensor]]:
    network = initialised(lambda: Autoencoder(SIZES), 1)
    loss = autoencoder_objective(Standardiser(WIDTH), LADDER["latent"])
    stage = TrainingStage("autoencoder", network, loss, Texts(), Texts(), scored=of_tokens)
    # A large eps, because AdamW would make as much of a gradient that is zero but for rounding as of any other.
    config = TrainingConfig(batch_size=8, validations=2, eps=1e-2, **changes)  # type: ignore[arg-type]
    trained = train(stage, config, Budget(steps, "steps"), TrainingRun(folder, 5, "cpu"))
    return trained, {name: value.clone() for name, value in weights(network).items()}


def test_buckets_change_the_order_and_make_steps_cheaper(tmp_path: Path) -> None:
    plain, bucketed = fit(tmp_path / "plain"), fit(tmp_path / "bucketed", length_buckets=3)
    assert bucketed[0].flops < 0.97 * plain[0].flops
    assert bucketed[0].notes["preparation"]["lengths"] == [8, 16, 24]
    assert "preparation" not in plain[0].notes
    assert bucketed[0].validation_loss == pytest.approx(plain[0].validation_loss, rel=0.05)


class StoppedError(Exception):
    """Ends a training from outside."""


def test_a_resumed_training_sees_the_same_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []
    step = OptimiserStep._step

    def noted(self: OptimiserStep, rows: Rows, number: int, rate: float) -> None:
        if stop and number == 11:
            raise StoppedError
        seen.append((number, tuple(rows["tokens"].flatten().tolist())))
        step(self, rows, number, rate)

    monkeypatch.setattr(OptimiserStep, "_step", noted)
    monkeypatch.setattr("cosmos.training.loop.CHECKPOINT_SHARE", 1e9)
    stop = False
    whole = fit(tmp_path / "whole", length_buckets=3)[1]
    calm, seen = dict(seen), []
    stop = True
    with pytest.raises(StoppedError):
        fit(tmp_path / "killed", length_buckets=3, checkpoint_seconds=0.0)
    before, seen = dict(seen), []
    stop = False
    resumed = fit(tmp_path / "killed", length_buckets=3, checkpoint_seconds=0.0)[1]
    after = dict(seen)
    assert 0 < min(after) <= 11 and len(before) == 11
    assert {**before, **after} == calm
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_parameters_have_gradients_of_their_own() -> None:
    """Inductor gives the two numbers of a gate one tensor, which a clipping in place would scale twice."""
    step, shared = object.__new__(OptimiserStep), torch.tensor([2.0])
    step.parameters = {name: torch.nn.Parameter(torch.zeros(1)) for name in ("weight", "bias", "other")}
    step.parameters["weight"].grad = step.parameters["bias"].grad = shared
    step.compiled = []
    step._part_gradients()
    weight, bias, other = step.parameters.values()
    assert weight.grad is not None and bias.grad is not None and other.grad is None
    weight.grad.mul_(3.0)
    assert (float(weight.grad), float(bias.grad)) == (6.0, 2.0)


@pytest.mark.slow
@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
def test_compiled_steps_learn_the_same_and_what_was_compiled_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fit(tmp_path / "plain", length_buckets=2)
    monkeypatch.setattr(OptimiserStep, "can_compile", lambda self: self.config.compile is not False)
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(compilation.FOLDER, raising=False)
    counters = torch._dynamo.utils.counters
    for again in (False, True):
        torch._dynamo.reset()
        compilation._compiled_function.cache_clear()
        counters.clear()
        compiled = fit(tmp_path / f"compiled {again}", length_buckets=2, compile=True)
        notes = compiled[0].notes["preparation"]
        assert notes["compiled"] and len(notes["lengths"]) == 2 and notes["seconds"] > 0
        assert compiled[0].flops == plain[0].flops
        for name, value in plain[1].items():
            torch.testing.assert_close(compiled[1][name], value, rtol=1e-3, atol=1e-4)
        found = counters["aot_autograd"]["autograd_cache_hit"] + counters["inductor"]["fxgraph_cache_hit"]
        made = counters["aot_autograd"]["autograd_cache_miss"] + counters["inductor"]["fxgraph_cache_miss"]
        assert (found > 3 and made == 0) if again else made > 3
    assert any((tmp_path / "cache" / "compiled").rglob("*")), "it lies in the folder for caches"
