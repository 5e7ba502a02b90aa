"""The source that needs no download: sentences of the built-in world, about which everything is known exactly."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from baselines.contract import Document, UserError, unknown
from benchmarks.data import world
from benchmarks.data.source import Split
from benchmarks.data.world.language.draws import Stream
from cosmos.io.errors import check_range

_TASKS: dict[str, Callable[[Split, int, int], list[Document]]] = {
    "story": world.stories,
    "question": world.questions,
    "summary": world.summaries,
    "detox": world.detox,
}
_MOST = 1_000_000  # documents of a split: minutes of drawing
_MEASURED = 200  # sources that a mean entropy is taken over


@dataclass(frozen=True)
class WorldOptions:
    """How many documents each split has, and the seed they are drawn with."""

    train: int = 4000
    validation: int = 200
    test: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for split in ("train", "validation", "test"):
            if getattr(self, split) < 1:
                raise UserError(f"data.{split} must be at least 1, not {getattr(self, split)}.")
            check_range(f"data.{split}", getattr(self, split), 1, _MOST)


class World:
    """Documents drawn from the built-in grammar."""

    Options: ClassVar[type[WorldOptions]] = WorldOptions
    version: ClassVar[str] = str(world.VERSION)

    def __init__(self, options: WorldOptions) -> None:
        self.options = options

    def load(self, task: str, split: Split, limit: int | None = None) -> Sequence[Document]:
        """The first `limit` (or all) documents of a split; asking for fewer does not change which come first."""
        if task not in _TASKS:
            raise unknown("task of the world", task, _TASKS)
        count: int = getattr(self.options, split)
        return _TASKS[task](split, count if limit is None else min(limit, count), self.options.seed)

    def law(self, task: str) -> Callable[[str | None, int], str]:
        """`draw(source, seed)`: a target from P(target | source) of a task, over all splits; see
        `source.HasTrueDistribution`."""
        return lambda source, seed: world.LAWS[task](source, Stream("law", task, seed))

    def log_probability(self, task: str) -> Callable[[str, str | None], float]:
        """`log_probability(target, source)` under the law of a task; see `source.HasTrueProbability`."""
        return world.LOG_PROBABILITIES[task]

    def content(self, task: str) -> dict[str, Any]:
        """The grammar, and the least mean loss of any model of a target, in nats: the language's own entropy.

        For stories it is exact, as is their number. For other tasks it is that of a target given its source, exact for
        each source and here the mean over the first test documents, with its standard error.
        """
        about: dict[str, Any] = {"grammar": self.version}
        if task == "story":
            return {**about, "entropy_nats": world.story_entropy(), "texts": world.distinct_stories()}
        entropies = [world.ENTROPIES[task](document.source) for document in self.load(task, "test", _MEASURED)]
        error = statistics.stdev(entropies) / math.sqrt(len(entropies)) if len(entropies) > 1 else None
        return {**about, "entropy_nats": statistics.fmean(entropies), "entropy_nats_error": error}
