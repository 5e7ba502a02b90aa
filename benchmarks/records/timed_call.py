"""The record of one timed call, a line of timings.jsonl (`benchmarks.records.schema`). Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cosmos.io.typed_json import Amount, Count


@dataclass(frozen=True)
class TimingRecord:
    """One timed call of `System.generate`.

    Kinds: `batch` made the samples that are scored; `latency` made single texts, which equal the scored ones or the
    verdict says so; `sweep` made texts of other seeds, in any number, that are not scored; `warmup` came before any of
    these, with other seeds too, and counts for nothing; nor does `phases`, which was slowed by the looking at it. Where
    several devices make the texts of one cell at once, a `shard` made some of them on one device while others worked,
    and `whole` is from the first device's begin to the last one's end; neither is ever held against a `batch`.

    Attributes:
        round: systems and settings take turns in rounds; the first is 0.
        process: of the processes that took turns, the first 0.
        device_seconds: between events on the device around the call, None where there is no such device.
        cpu_seconds: of this process and its children on the CPU, all threads together.
        phases: seconds by part of the work: of each network by its name, and `rest` (sampling, detokenising).
        kept: what the texts come to: `words`, and `tokens` of the tokenizer that the run's systems share.
        texts: SHA-256 of the texts (`benchmarks.records.seals.texts_sha256`).
        asked_before: whether one of the requests of a batch had been asked before, as a single text: it might be known.
        beside: what else went on meanwhile, as far as the machine tells: seconds that were `watched`, CPU seconds that
            `others` used and that were `available` on all cores, other `gpu_processes`, and `busy_cores` of this
            process while nothing was asked of the system, seen shortly before.
        slowed: what slowed the machine meanwhile, in words -> seconds.
        device: of a shard, which; of the whole, all of them.
    """

    kind: Literal["warmup", "batch", "latency", "sweep", "phases", "shard", "whole"]
    index: Count
    ids: tuple[str, ...]
    seconds: Amount
    calls: Mapping[str, Count]
    seal: str = ""  # of this and the samples it made (`benchmarks.records.seals`); none before schema 4
    round: Count = 0
    process: Count = 0
    device_seconds: Amount | None = None
    cpu_seconds: Amount | None = None
    phases: Mapping[str, Amount] = field(default_factory=dict)
    kept: Mapping[str, Count] = field(default_factory=dict)
    texts: str = ""
    asked_before: bool = False
    beside: Mapping[str, float] = field(default_factory=dict)
    slowed: Mapping[str, Amount] = field(default_factory=dict)
    device: str = ""
