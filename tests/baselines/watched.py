"""What a training begins with and what a generation reads, seen from within: no training is done.

For tests that set options and ask whether anything is changed by them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from typing import Any

import pytest
import torch
import transformers

from baselines.common import token_rows
from baselines.contract import Budget, Sample
from baselines.latent_diffusion import time_grids
from cosmos.runtime import flops
from cosmos.runtime.rng import CounterRNG
from cosmos.text import tokenizer
from cosmos.training import distributed, loop
from cosmos.training.budget import Cost
from cosmos.training.config import TrainingConfig, TrainingResult, TrainingRun
from cosmos.training.loop import Batch, TrainingStage

ROWS = 4  # of the batch whose loss is compared
PROCESSES = functools.cache(distributed.find_processes)
REAL_READ = token_rows.samples_from_tokens
READ_TOKENIZER = functools.cache(tokenizer.load_tokenizer)
CHOOSE = time_grids.optimised_grids
READ_ENCODER = functools.cache(transformers.AutoModel.from_pretrained)


@dataclasses.dataclass(frozen=True)
class Begun:
    """What the training loop was given, and where it began."""

    stage: str
    config: TrainingConfig
    budget: Budget
    rows: int
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    weights: float
    loss: float
    gradient: float  # the sum of its sizes: where losses stop says nothing of their values


class EnoughError(Exception):
    """All that is compared has been seen."""


class Spy:
    """In place of `cosmos.training.loop.train`: remembers, and trains nothing."""

    def __init__(self) -> None:
        self.begun: list[Begun] = []
        self.seen: list[Any] = []  # by generation
        self.expected: list[Begun] = []  # training ends when it differs, or when all of it has been seen

    @torch.no_grad()
    def __call__(
        self, stage: TrainingStage, config: TrainingConfig, budget: Budget, run: TrainingRun
    ) -> TrainingResult:
        model, data = stage.network, stage.data
        run.workdir.mkdir(parents=True, exist_ok=True)
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        shapes = tuple((name, tuple(value.shape)) for name, value in tensors.items())
        weights = sum(float(value.double().abs().sum()) for value in tensors.values())
        batch = Batch(data.batch(torch.arange(ROWS) % len(data)), progress=torch.tensor(0.25))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(len(self.begun))  # so that no student is another
            for parameter in model.parameters():  # as training would: a layer of zeros hides what is before it
                parameter.add_(0.02 * torch.randn(parameter.shape))
            with torch.enable_grad():
                total, _ = stage.loss(model.train(), batch, CounterRNG(torch.arange(ROWS)))
                total.backward()
        gradient = sum(float(p.grad.double().abs().sum()) for p in model.parameters() if p.grad is not None)
        model.eval().zero_grad(set_to_none=True)
        loss = float(total.detach())
        self.begun.append(Begun(stage.name, config, budget, len(data), shapes, weights, loss, gradient))
        if self.expected and (self.begun == self.expected or self.begun[-1] != self.expected[len(self.begun) - 1]):
            raise EnoughError
        return TrainingResult(1, 0.0, 1.0, 1.0, {"best_share": 1.0, "validation_losses": []})

    def read(self, requests: Any, tokens: torch.Tensor, vocabulary: Any, *, whole: bool = False) -> list[Sample]:
        """In place of `baselines.common.token_rows.samples_from_tokens`: remembers what is beyond the end of a text,
        too."""
        self.seen.append(tokens.tolist())
        return REAL_READ(requests, tokens, vocabulary, whole=whole)


def watch(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Training is seen and left out; so is the counting of operations; time grids are chosen once, and what is read
    from disk is read once."""

    def everywhere(real: Any, other: Any) -> None:
        for module in list(sys.modules.values()):
            if getattr(module, real.__name__, None) is real:
                monkeypatch.setattr(module, real.__name__, other)

    found, chosen = Spy(), dict[int, Any]()
    everywhere(loop.train, found)
    everywhere(token_rows.samples_from_tokens, found.read)
    everywhere(distributed.find_processes, PROCESSES)
    everywhere(flops.measure_flops, lambda run: (run(), 1e6)[1])
    # What grids cost to choose depends on no weights, and no training begins with which they are.
    monkeypatch.setattr(time_grids, "_price", lambda *_: Cost(0.0, 1e6))
    monkeypatch.setattr(time_grids, "optimised_grids", lambda *given: chosen or chosen.update(CHOOSE(*given)) or chosen)
    everywhere(tokenizer.load_tokenizer, READ_TOKENIZER)
    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", READ_ENCODER)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    return found
