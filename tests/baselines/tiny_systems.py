"""What tests of rivals behind the contract share: two dozen documents, a short training, and a count of calls."""

from __future__ import annotations

import dataclasses
from typing import Any

from baselines.common.system import TrainedSystem
from baselines.contract import Corpus, Document, Limits, Request
from benchmarks.timing.probes import counting
from cosmos.training.loop import TrainingConfig

LIMITS = Limits(source_tokens=16, target_tokens=14)
WHO, WHAT = ["anna", "ben", "the old man", "my sister"], ["lamp", "red chair", "book"]
PAIRS = [
    (f"{who} broke the {n} {what} .", f"{who} broke {what} .") for n in ("damn", "dumb") for who in WHO for what in WHAT
]
DOCUMENTS = [Document(str(i), source, target, (target,)) for i, (source, target) in enumerate(PAIRS)]
CORPUS = Corpus(DOCUMENTS[:20], DOCUMENTS[20:])
REQUESTS = [Request(d.id, d.source, 50 + i, 14) for i, d in enumerate(DOCUMENTS)]
TRAINING = TrainingConfig(batch_size=8, learning_rate=1e-2, ema_decay=0.9, validations=2, checkpoint_seconds=0.0)


def with_training(recipe: Any, **changes: Any) -> Any:
    """The recipe with all its trainings changed."""
    made: dict[str, Any] = {}
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, TrainingConfig):
            made[field.name] = dataclasses.replace(value, **changes)
        elif dataclasses.is_dataclass(value):
            made[field.name] = with_training(value, **changes)
    return dataclasses.replace(recipe, **made)


def brief(setting: Any) -> Any:
    """The setting with few steps, where it has steps."""
    return dataclasses.replace(setting, steps=min(4, setting.steps)) if hasattr(setting, "steps") else setting


def all_named(kind: Any) -> list[Any]:
    """All settings that users can name, in few steps."""
    return list(dict.fromkeys(map(brief, {**kind.settings, **getattr(kind, "other_settings", {})}.values())))


def count_calls(system: TrainedSystem, setting: Any) -> int:
    """Calls of the first network while it answers all requests."""
    with counting(system.networks()) as calls:
        system.generate(REQUESTS, setting)
    return next(iter(calls.values()))
