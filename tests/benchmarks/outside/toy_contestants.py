"""An outside package as a stranger would write it: systems, a task and a source, without any framework."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from baselines.contract import Budget, Corpus, Document, Limits, NoSetting, Request, Sample, TrainingResult, UserError
from benchmarks.tasks import Task

TASK = Task(
    name="echo",
    version="1",
    title="Echo: say it again",
    conditional=True,
    limits=Limits(8, 8),
    metrics=("copy_rate", "length"),
    headline=("copy_rate",),
    floors=(),
    systems=("toy",),
    sources=("lines",),
    note="made up",
)
PARROT = replace(TASK, name="parrot", title="Parrot: say it again, beside a floor", floors=("knowing",))


@dataclass(frozen=True)
class LinesOptions:
    train: int = 6
    test: int = 23
    word: str = "word"


class Lines:
    """Numbered lines."""

    Options: ClassVar[type[LinesOptions]] = LinesOptions
    version: ClassVar[str] = "1"

    def __init__(self, options: LinesOptions) -> None:
        self.options = options

    def load(self, task: str, split: str, limit: int | None = None) -> list[Document]:
        count = self.options.test if split == "test" else self.options.train
        lines = [f"{self.options.word} {split} {n}" for n in range(count)][:limit]
        return [Document(f"{split}-{n}", line, line, (line,)) for n, line in enumerate(lines)]


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
class Rate:
    start: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)


@dataclass(frozen=True)
class Recipe:
    width: int = 4
    rate: Rate = field(default_factory=Rate)
    kind: Literal["plain", "fancy"] = "plain"
    bias: bool = True
    decay: float | None = 0.5
    pause_seconds: float = 0.0
    budget: Budget = field(default_factory=lambda: Budget(10, "steps"))

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UserError(f"width must be at least 1, not {self.width}.")


@dataclass(frozen=True)
class Setting:
    steps: int = 3
    pause_seconds: float = 0.0


def _pause(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


class Toy:
    """Adds a number that depends on the request's seed, as often as its setting says."""

    presets: ClassVar[Mapping[str, Any]] = {"nano": Recipe(), "small": Recipe(width=8)}
    settings: ClassVar[Mapping[str, Any]] = {"default": Setting(), "fast": Setting(steps=1)}
    other_settings: ClassVar[Mapping[str, Any]] = {"slow-9": Setting(steps=9)}
    trained: ClassVar[bool] = True

    def __init__(self, recipe: Recipe, limits: Limits) -> None:
        self.recipe, self.network = recipe, Network()

    @staticmethod
    def external_weights(recipe: Recipe) -> Sequence[str]:
        return () if recipe.kind == "plain" else ("a-company/fancy",)

    def fit(
        self,
        corpus: Corpus,
        budget: Budget,
        workdir: Path,
        *,
        seed: int,
        device: str,
        progress: Callable[[str, float, float | None], None],
    ) -> TrainingResult:
        path = workdir / "weights.json"
        done = json.loads(path.read_text())["steps"] if path.exists() else 0
        for step in range(done, int(budget.amount)):
            _pause(self.recipe.pause_seconds)
            temporary = workdir / "weights.partial"
            temporary.write_text(json.dumps({"steps": step + 1, "width": self.recipe.width, "seed": seed}))
            os.replace(temporary, path)
            progress("train", (step + 1) / budget.amount, 1.0 / (step + 1))
        return TrainingResult(int(budget.amount), 0.5, 1e6, 0.25, {"texts": len(corpus.train)})

    def check(self, checkpoint: Path) -> None:
        try:
            width = json.loads((checkpoint / "weights.json").read_text())["width"]
        except (OSError, ValueError) as error:
            raise UserError(f"{checkpoint / 'weights.json'} is truncated.") from error
        if width != self.recipe.width:
            raise UserError(f"{checkpoint / 'weights.json'} has width {width}.")

    def load(self, checkpoint: Path, *, device: str, dtype: str) -> None:
        self.check(checkpoint)

    def networks(self) -> Mapping[str, Any]:
        return {"network": self.network}

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        for _ in range(setting.steps):
            _pause(setting.pause_seconds)
            self.network()
        texts = [f"{request.source} {request.seed % 97}" for request in requests]
        return [Sample(r.id, text, len(text.split()), True) for r, text in zip(requests, texts, strict=True)]


class Broken(Toy):
    """Fails while generating."""

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        raise RuntimeError("no memory left\non this device")


class Fussy(Toy):
    """Cannot be loaded."""

    def load(self, checkpoint: Path, *, device: str, dtype: str) -> None:
        raise UserError("The toy is not to be loaded.")


class Moody(Toy):
    """Breaks the contract: its texts depend on how many are made at once."""

    def generate(self, requests: Sequence[Request], setting: Setting) -> list[Sample]:
        return [Sample(r.id, f"{r.source} {len(requests)}", 4, True) for r in requests]


class Knowing:
    """A floor that needs the answers."""

    presets: ClassVar[Mapping[str, Any]] = {"any": NoSetting()}
    settings: ClassVar[Mapping[str, Any]] = {"default": NoSetting()}
    trained: ClassVar[bool] = False

    def __init__(self, recipe: NoSetting, limits: Limits) -> None:
        self.known: dict[str, str] = {}

    @staticmethod
    def external_weights(recipe: NoSetting) -> Sequence[str]:
        return ()

    def fit(self, corpus: Corpus, budget: Budget, workdir: Path, **_: Any) -> TrainingResult:
        return TrainingResult(0, 0.0, 0.0, None, {})

    def check(self, checkpoint: Path) -> None:
        pass

    def load(self, checkpoint: Path, *, device: str, dtype: str) -> None:
        pass

    def networks(self) -> Mapping[str, Any]:
        return {}

    def answers(self, answers: Mapping[str, str]) -> None:
        self.known = dict(answers)

    def generate(self, requests: Sequence[Request], setting: NoSetting) -> list[Sample]:
        return [Sample(r.id, self.known[r.id], 3, True) for r in requests]
