"""A system of two settings, a task and a source, in which a commit of the drill can change one line and nothing else.

The sampler calls its network once a step and spends simulated seconds; the decoder turns tokens into words. One word in
six comes out wrong, which the request's seed decides, so that scores are neither 0 nor 1.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import simulated

from baselines.contract import Budget, Corpus, Document, Limits, Request, Sample, TrainingResult, UserError
from benchmarks.tasks import Task

WORDS = (
    "the",
    "a",
    "red",
    "blue",
    "small",
    "large",
    "cat",
    "dog",
    "fox",
    "sees",
    "takes",
    "wants",
    "finds",
    "it",
    "now",
)
TASK = Task(
    name="drill",
    version="1",
    title="Drill: say it again",
    conditional=True,
    limits=Limits(16, 16),
    metrics=("rouge_l", "bleu", "copy_rate", "length"),
    headline=("rouge_l",),
    floors=(),
    systems=("drill",),
    sources=("lines",),
    note="made up",
)


@dataclass(frozen=True)
class LinesOptions:
    train: int = 20
    test: int = 300
    seed: int = 0


class Lines:
    """Lines of eight words."""

    Options: ClassVar[type[LinesOptions]] = LinesOptions
    version: ClassVar[str] = "1"

    def __init__(self, options: LinesOptions) -> None:
        self.options = options

    def load(self, task: str, split: str, limit: int | None = None) -> list[Document]:
        count = self.options.test if split == "test" else self.options.train
        return [self._document(split, n) for n in range(count)][:limit]

    def _document(self, split: str, n: int) -> Document:
        line = " ".join(random.Random(f"{self.options.seed} {split} {n}").choices(WORDS, k=8))
        return Document(f"{split}-{n}", line, line, (line,))


class Network:
    """What the harness asks of a `torch.nn.Module`."""

    def __init__(self) -> None:
        self.hooks: dict[int, Callable[..., None]] = {}

    def register_forward_hook(self, hook: Callable[..., None]) -> Any:
        key = len(self.hooks)
        self.hooks[key] = hook
        hooks = self.hooks

        class Handle:
            def remove(self) -> None:
                del hooks[key]

        return Handle()

    def parameters(self) -> list[Any]:
        return []

    def __call__(self) -> None:
        for hook in list(self.hooks.values()):
            hook()


@dataclass(frozen=True)
class Recipe:
    budget: Budget = field(default_factory=lambda: Budget(1, "steps"))


@dataclass(frozen=True)
class Setting:
    steps: int = 4
    corrected: bool = False


class Drill:
    """Says the words of its source again, most of them."""

    presets: ClassVar[Mapping[str, Any]] = {"nano": Recipe()}
    settings: ClassVar[Mapping[str, Any]] = {"plain": Setting(), "corrected": Setting(8, corrected=True)}
    trained: ClassVar[bool] = True

    def __init__(self, recipe: Recipe, limits: Limits) -> None:
        self.network = Network()
        self.vocabulary: list[str] = []

    @staticmethod
    def external_weights(recipe: Recipe) -> Sequence[str]:
        return ()

    def fit(self, corpus: Corpus, budget: Budget, workdir: Path, **_: Any) -> TrainingResult:
        words = dict.fromkeys(word for document in corpus.train for word in document.target.split())
        (workdir / "vocabulary.json").write_text(json.dumps(sorted(words)))
        return TrainingResult(1, 0.5, 1e6, 0.25, {})

    def check(self, checkpoint: Path) -> None:
        if not (checkpoint / "vocabulary.json").exists():
            raise UserError(f"{checkpoint} has no vocabulary.")

    def load(self, checkpoint: Path, *, device: str, dtype: str) -> None:
        self.vocabulary = json.loads((checkpoint / "vocabulary.json").read_text())

    def networks(self) -> Mapping[str, Any]:
        return {"network": self.network}

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        rows = [[self.vocabulary.index(word) for word in str(r.source).split()] for r in requests]
        written = sample(self.network, rows, [r.seed for r in requests], setting, len(self.vocabulary))
        texts = [decode(tokens, self.vocabulary, setting) for tokens in written]
        return [Sample(r.id, text, len(t), True) for r, text, t in zip(requests, texts, written, strict=True)]


def sample(
    network: Network, rows: Sequence[Sequence[int]], seeds: Sequence[int], setting: Setting, size: int
) -> list[list[int]]:
    """Each row of tokens with one in six changed, after as many calls of the network as there are steps."""
    for _ in range(setting.steps):
        network()
        seconds = 0.010
        if setting.corrected:
            seconds = 0.010
        simulated.spend(seconds)
    written = []
    for row, seed in zip(rows, seeds, strict=True):
        draw = random.Random(seed)
        written.append([draw.randrange(size) if draw.random() < 1 / 6 else token for token in row])
    return written


def decode(tokens: Sequence[int], vocabulary: Sequence[str], setting: Setting) -> str:
    """The words of tokens."""
    shift = 0
    if setting.corrected:
        shift = 0
    return " ".join(vocabulary[(token + shift) % len(vocabulary)] for token in tokens)
