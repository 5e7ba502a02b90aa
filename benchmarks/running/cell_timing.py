"""Timed calls as they are recorded, when they are enough, and what went on beside them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from baselines.contract import Sample
from benchmarks.records import seals
from benchmarks.records.schema import TimingRecord
from benchmarks.stats.order_statistics import quantile_limits
from benchmarks.timing.protocol import Call

Kind = Literal["warmup", "batch", "latency", "sweep", "phases", "shard", "whole"]
TokenCounts = Callable[[Sequence[str]], list[int]]


def record_of(
    kind: Kind,
    index: int,
    call: Call,
    turn: int,
    token_counts: TokenCounts | None,
    *,
    process: int = 0,
    phases: Mapping[str, float] = MappingProxyType({}),
    scored: bool = True,
    asked_before: bool = False,
) -> TimingRecord:
    """The line of a timed call, without its seal; with a hash of its texts only where these are scored too."""
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
        phases=dict(phases),
        kept=kept(call.samples, token_counts),
        texts=seals.texts_sha256(texts) if scored else "",
        asked_before=asked_before,
        beside=dict(call.beside),
        slowed=dict(call.slowed),
    )


def kept(samples: Sequence[Sample], token_counts: TokenCounts | None) -> dict[str, int]:
    """What texts come to: words, and tokens of the tokenizer of the run, their ends not counted."""
    texts = [sample.text for sample in samples]
    words = {"words": sum(len(text.split()) for text in texts)}
    if token_counts is None:
        return words
    whole = [text.encode(errors="replace").decode() for text in texts]  # no tokenizer takes half of a surrogate pair
    return {**words, "tokens": sum(token_counts(whole)) - len(texts)}


def narrow(seconds: Sequence[float], width: float) -> bool:
    """Whether the 95 % interval of the median of durations is no wider than a share of it."""
    ordered = sorted(seconds)
    limits = quantile_limits(ordered, 0.5)
    return limits is not None and limits[1] - limits[0] <= width * statistics.median(ordered)
