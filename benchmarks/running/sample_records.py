"""Samples as they are recorded, and what of a cell's records still counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from baselines.contract import Request, UserError
from benchmarks.records import store
from benchmarks.records.schema import SampleRecord, TimingRecord
from benchmarks.timing.protocol import Call


def stays(timing: TimingRecord, ids: Sequence[tuple[str, ...]]) -> bool:
    """Whether a timing on disk still counts: a batch of these, but no latency, for those texts were not kept."""
    if timing.kind == "batch":
        return timing.index < len(ids) and timing.ids == ids[timing.index]
    return timing.kind == "warmup"


def check_answers(samples: Sequence[SampleRecord], requests: Sequence[Request], folder: Path) -> None:
    """See that the samples on disk answer the first requests."""
    asked = [(request.id, request.seed) for request in requests[: len(samples)]]
    if [(sample.id, sample.seed) for sample in samples] != asked:
        raise UserError(f"{folder / store.SAMPLES} answers other requests; delete {folder} and run again.")


def sample_records(requests: Sequence[Request], call: Call) -> list[SampleRecord]:
    return [
        SampleRecord(
            sample.id,
            sample.text,
            sample.tokens,
            sample.finished,
            request.seed,
            dict(call.calls),
            None if sample.sequence is None else token_entropy(sample.sequence),
        )
        for request, sample in zip(requests, call.samples, strict=True)
    ]


def token_entropy(sequence: Sequence[int]) -> float:
    """Entropy in nats of how often each token stands in a sequence; 0 of an empty one."""
    shares = sorted(count / len(sequence) for count in Counter(sequence).values())
    return round(-math.fsum(share * math.log(share) for share in shares), 6) + 0.0  # a zero without a sign


def differ(old: SampleRecord, new: SampleRecord) -> bool:
    """Whether a text made again is another; lines of earlier versions lack what was not kept then."""
    return old != (replace(new, entropy=None) if old.entropy is None else new)
