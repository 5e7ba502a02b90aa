"""Timed calls as they are recorded, when they are enough, and what went on beside them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from baselines.contract import Sample
from benchmarks.records import seals
from benchmarks.records.schema import TimingRecord
from benchmarks.stats.order_statistics import quantile_limits
from benchmarks.timing.probes import OtherLoad
from benchmarks.timing.protocol import Call
from benchmarks.timing.verdict import Surroundings

Kind = Literal["warmup", "batch", "latency", "sweep", "phases"]
TELLING_SECONDS = 0.25  # of a shorter time the system's count of busy cores, in hundredths of a second, says too little
TokenCounts = Callable[[Sequence[str]], list[int]]


def record_of(
    kind: Kind, index: int, call: Call, turn: int, token_counts: TokenCounts | None, *, process: int = 0
) -> TimingRecord:
    """The line of a timed call, without its seal."""
    texts = [sample.text for sample in call.samples]
    return TimingRecord(
        kind,
        index,
        tuple(sample.id for sample in call.samples),
        call.seconds,
        call.calls,
        round=turn,
        process=process,
        device_seconds=call.device_seconds,
        cpu_seconds=call.cpu_seconds,
        kept=kept(call.samples, token_counts),
        texts=seals.texts_sha256(texts),
    )


def kept(samples: Sequence[Sample], token_counts: TokenCounts | None) -> dict[str, int]:
    """What texts come to: words, and tokens of the tokenizer of the run, their ends not counted."""
    texts = [sample.text for sample in samples]
    words = {"words": sum(len(text.split()) for text in texts)}
    return words if token_counts is None else {**words, "tokens": sum(token_counts(texts)) - len(texts)}


def narrow(seconds: Sequence[float], width: float) -> bool:
    """Whether the 95 % interval of the median of durations is no wider than a share of it."""
    ordered = sorted(seconds)
    limits = quantile_limits(ordered, 0.5)
    return limits is not None and limits[1] - limits[0] <= width * statistics.median(ordered)


class Around:
    """What other processes used of the machine while calls of a kind were made."""

    def __init__(self) -> None:
        self._used: dict[str, tuple[float, float]] = {}

    @contextmanager
    def watching(self, kind: str) -> Iterator[None]:
        """Look while calls of the kind are made."""
        load = OtherLoad()
        yield
        used = load.used()
        if used is not None:
            before = self._used.get(kind, (0.0, 0.0))
            self._used[kind] = (before[0] + used[0], before[1] + used[1])

    def surroundings(self, cores: int) -> Mapping[str, Surroundings]:
        """By kind of call; nothing of a kind that took too short a time."""
        return {
            kind: Surroundings(other_cpu=min(1.0, max(0.0, others / available)))
            for kind, (others, available) in self._used.items()
            if available >= TELLING_SECONDS * cores
        }
