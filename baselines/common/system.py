"""What rivals that write tokens share: fit, check, load. A rival adds its network, its loss and its sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.common import checkpoint
from baselines.common.random_rows import lengths_of, tokens_of, train_on
from baselines.common.random_weights import first_number, made_up_vocabulary
from baselines.common.token_rows import TokenPairs, encode_pairs
from baselines.contract import (
    Budget,
    Corpus,
    Limits,
    Progress,
    RandomTraining,
    Request,
    Sample,
    TrainingResult,
    UserError,
    silent,
)
from cosmos.io import seals
from cosmos.runtime.capture import Capture, CapturedCalls, captured
from cosmos.runtime.rng import initialised
from cosmos.text.vocabulary import SEP, Vocabulary
from cosmos.training import resume
from cosmos.training.batches import Rows
from cosmos.training.config import TrainingRun
from cosmos.training.distributed import find_processes
from cosmos.training.loop import Dataset, Loss, TrainingStage, train


class TrainedSystem(ABC):
    """What all trained rivals share: a checkpoint of one module, of which the networks are parts."""

    name: ClassVar[str]
    presets: ClassVar[Mapping[str, Any]]
    settings: ClassVar[Mapping[str, Any]]
    trained: ClassVar[bool] = True
    shares_batches: ClassVar[bool] = True

    def __init__(self, recipe: Any, limits: Limits) -> None:
        self.recipe, self.limits = recipe, limits
        self.configured = checkpoint.configuration(self.name, recipe, limits)
        self.captured_calls = CapturedCalls()

    @staticmethod
    @abstractmethod
    def external_weights(recipe: Any) -> Sequence[str]:
        """See the contract."""

    @abstractmethod
    def build(self, shape: Mapping[str, int]) -> nn.Module:
        """All that is trained, with fresh weights; `shape` holds the sizes that come from the training data."""

    @abstractmethod
    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]: ...

    @abstractmethod
    def fit_networks(self, corpus: Corpus, budget: Budget, workdir: Path, run: TrainingRun) -> TrainingResult:
        """Train on a corpus that has documents, and write all of the checkpoint but what marks it as whole; of several
        processes the first writes."""

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> TrainingResult:
        arguments, processes = checkpoint.inputs(corpus, budget, seed), find_processes(device)
        first = processes.rank == 0
        done = processes.told(checkpoint.finished(workdir, self.configured, arguments) if first else None)
        if done is not None:
            return done
        if not corpus.train:
            raise UserError(f"There is nothing to train '{self.name}' on; give at least one document.")
        made_of = seals.seal_of([self.configured, arguments, *self.read_files()])
        run = TrainingRun(workdir / checkpoint.TRAINING, seed, device, progress, made_of)
        fitted = self.fit_networks(corpus, budget, workdir, run)
        processes.once(lambda: checkpoint.finish(workdir, arguments, fitted))
        return fitted

    def read_files(self) -> Sequence[Any]:
        """What tells the files that training reads besides documents from others in their place, as JSON holds it."""
        return ()

    def check(self, checkpoint_folder: Path) -> None:
        checkpoint.check(checkpoint_folder, self.configured, self.build)

    def load(self, checkpoint_folder: Path, *, device: str, dtype: str) -> None:
        self.ready(*self.read_checkpoint(checkpoint_folder), device=device, dtype=dtype)

    def read_checkpoint(self, checkpoint_folder: Path) -> tuple[Mapping[str, int], Vocabulary, nn.Module]:
        """Sizes, vocabulary and networks of a checkpoint that is whole and of this configuration."""
        shape = checkpoint.check(checkpoint_folder, self.configured, self.build)
        model = self.fresh(shape, 0)
        checkpoint.load_weights(checkpoint_folder, model)
        return shape, self.read_vocabulary(checkpoint_folder / checkpoint.VOCABULARY), model

    def untrained(self, tokens: int, *, seed: int, device: str, dtype: str) -> None:
        if self.limits.source_tokens > 0:
            raise UserError(f"Random weights of '{self.name}' are timed without sources; ask for 0 source tokens.")
        vocabulary = made_up_vocabulary(tokens)
        shape = {"vocabulary": vocabulary.padded_size, **self.longest()}
        model = self.fresh(shape, seed)
        with torch.no_grad():
            self.never_end(model)
        self.ready(shape, vocabulary, model, device=device, dtype=dtype)

    def repeated(
        self, network: str, arguments: Sequence[Any], keywords: Mapping[str, Any], capture: Capture
    ) -> Callable[[], object]:
        # A partial is hashed by identity, and a recording is of exactly these tensors.
        call = partial(self.networks()[network], *arguments, **keywords)
        return torch.inference_mode()(captured(self, first_number, capture, call))

    def longest(self) -> dict[str, int]:
        """The `shape`, besides "vocabulary", that texts as long as the limits allow would give."""
        return {}

    def never_end(self, model: nn.Module) -> None:  # noqa: B027 (most systems write whole sequences anyway)
        """Keep random weights from choosing the end token, where that would end the work."""

    def ready(
        self, shape: Mapping[str, int], vocabulary: Vocabulary, model: nn.Module, *, device: str, dtype: str
    ) -> None:
        """Take a network for generating."""
        self.loaded_shape, self.vocabulary = dict(shape), vocabulary
        self.device = torch.device(device)
        self.model = model.to(self.device, {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]).eval()

    def networks(self) -> Mapping[str, Any]:
        return {self.name: self.model}

    def read_vocabulary(self, path: Path) -> Vocabulary:
        return Vocabulary.load(path)

    def fresh(self, shape: Mapping[str, int], seed: int) -> nn.Module:
        """The network with weights from `seed`; the global generator is left as it was."""
        return initialised(lambda: self.build(shape), seed)


class TokenSystem(TrainedSystem):
    """A trained token model behind the contract (`baselines.contract.System`)."""

    @abstractmethod
    def shape(self, train: TokenPairs) -> dict[str, int]:
        """Sizes of the network that come from the training data, besides "vocabulary"; the checkpoint keeps them."""

    @abstractmethod
    def batches(self, pairs: TokenPairs, shape: Mapping[str, int]) -> Dataset:
        """The rows that the loss wants."""

    @abstractmethod
    def losses(self) -> tuple[Loss, Loss]:
        """What is trained on, and what is measured on validation documents (nats per target token)."""

    scored: Callable[[Rows], Tensor] | None = None
    """Which positions the loss reads out, where that follows from the rows (`cosmos.training.loop.TrainingStage`)."""

    def longest(self) -> dict[str, int]:
        row = torch.zeros(1, self.limits.target_tokens - 1, dtype=torch.int64)  # a target without its [CLS]
        return self.shape(TokenPairs(torch.zeros(1, 1, dtype=torch.int64), row, 0, 0))

    def optimise(self, stage: TrainingStage, budget: Budget, run: TrainingRun) -> TrainingResult:
        """Train the network of `stage` in place, here in that one stage."""
        return train(stage, self.recipe.training, budget, run)

    def vocabulary_of(self, texts: Iterable[str], tokenizer: str | None = None) -> Vocabulary:
        """By default the tokens that training texts have of the tokenizer that systems share (`Corpus.tokenizer`)."""
        return Vocabulary.of(texts, tokenizer)

    def begin(self, model: nn.Module, vocabulary: Vocabulary) -> None:
        """Put weights learnt elsewhere into a fresh network."""

    def train_on_random_rows(
        self, asked: RandomTraining, workdir: Path, *, device: str, progress: Progress = silent
    ) -> tuple[TrainingResult, int]:
        """See the contract; there are no sources, and one stage."""
        longest = self.limits.target_tokens - 1  # a target without its [CLS]
        targets = tokens_of(lengths_of(asked.rows, longest), longest, asked.vocabulary, None)
        pairs = TokenPairs(torch.full((asked.rows, 1), SEP), targets, 0, 0)
        shape = {"vocabulary": asked.vocabulary, **self.shape(pairs)}
        data, (loss, _) = self.batches(pairs, shape), self.losses()
        stage = TrainingStage(self.name, self.fresh(shape, 0), loss, data, scored=self.scored)
        return train_on(stage, self.recipe.training, asked, TrainingRun(workdir, 0, device, progress))

    def fit_networks(self, corpus: Corpus, budget: Budget, workdir: Path, run: TrainingRun) -> TrainingResult:
        texts = (text for d in corpus.train for text in (d.source, d.target) if text is not None)
        vocabulary = self.vocabulary_of(texts, corpus.tokenizer)
        pairs = encode_pairs(corpus.train, vocabulary, self.limits)
        shape = {"vocabulary": vocabulary.padded_size, **self.shape(pairs)}
        model = self.fresh(shape, run.seed)
        self.begin(model, vocabulary)
        learnt = self.batches(pairs, shape)
        held_out = self.batches(encode_pairs(corpus.validation, vocabulary, self.limits), shape)
        loss, validation_loss = self.losses()
        stage = TrainingStage(self.name, model, loss, learnt, held_out, validation_loss, scored=self.scored)
        trained = self.optimise(stage, budget, run)
        parameters = sum(value.numel() for value in resume.trainable(model).values())
        cut = {"cut_sources": pairs.cut_sources, "cut_targets": pairs.cut_targets}
        fitted = replace(trained, notes={**trained.notes, "parameters": parameters, **cut, **shape})
        if find_processes(run.device).rank == 0:
            checkpoint.save_configuration(workdir, self.configured, shape)
            checkpoint.save_networks(workdir, self.name, vocabulary, model)
        return fitted
