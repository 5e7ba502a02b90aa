"""Generate, time and keep the texts of one cell; taken up again, the files are those of an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from baselines.contract import Request, System, UserError
from benchmarks import store
from benchmarks.files import Appender, write_lines
from benchmarks.records import Json, SampleRecord, TimingRecord, to_json
from benchmarks.timing import verdict
from benchmarks.timing.clock import Clock
from benchmarks.timing.probes import OtherLoad
from benchmarks.timing.protocol import Call, Protocol, batches, single, timed, warm_up


def generate(
    system: System,
    setting: Any,
    requests: Sequence[Request],
    batch_size: int,
    folder: Path,
    *,
    device: str,
    protocol: Protocol,
    rules: verdict.Rules,
    progress: Callable[[float], None],
) -> Json:
    """Fill samples.jsonl and timings.jsonl of a cell's folder.

    A batch counts as done when its samples and its timing are on disk. One that is not is made again as a whole, and
    only the lines that are missing are added.

    Returns:
        the verdict on the timings.

    Raises:
        UserError: the samples on disk are not answers to these requests.
    """
    known = store.read_samples(folder)
    _check(known, requests, folder)
    timings = _without_latency(folder)
    clock, load = Clock(device), OtherLoad()
    groups = batches(requests, batch_size)
    done = {timing.index for timing in timings if timing.kind == "batch"}
    todo = [
        index
        for index in range(len(groups))
        if index not in done or len(known) < index * batch_size + len(groups[index])
    ]
    changed = 0
    with Appender(folder / store.SAMPLES) as samples, Appender(folder / store.TIMINGS) as times:

        def keep(kind: Literal["warmup", "batch", "latency"], index: int, call: Call) -> None:
            ids = tuple(sample.id for sample in call.samples)
            times.append([to_json(TimingRecord(kind, index, ids, call.seconds, call.calls))])

        warmups = sum(timing.kind == "warmup" for timing in timings)
        for call in warm_up(lambda: timed(system, groups[0], setting, clock), protocol) if todo else ():
            keep("warmup", warmups, call)
            warmups += 1
        for index in todo:
            call = timed(system, groups[index], setting, clock)
            rows = _records(groups[index], call)
            had = known[index * batch_size :][: len(rows)]
            changed += sum(old != new for old, new in zip(had, rows, strict=False))
            samples.append(to_json(row) for row in rows[len(had) :])
            keep("batch", index, call)
            progress((index + 1) / (len(groups) + 1))
        keep("warmup", warmups, timed(system, groups[0][:1], setting, clock))
        alone = {}
        for index, call in enumerate(single(lambda r: timed(system, [r], setting, clock), requests, protocol)):
            keep("latency", index, call)
            alone[call.samples[0].id] = call.samples[0].text
    progress(1.0)
    return verdict.judge(store.read_samples(folder), store.read_timings(folder), alone, changed, load.share(), rules)


def _check(known: Sequence[SampleRecord], requests: Sequence[Request], folder: Path) -> None:
    """See that the samples on disk answer the first requests."""
    wanted = [(request.id, request.seed) for request in requests[: len(known)]]
    if [(sample.id, sample.seed) for sample in known] != wanted:
        raise UserError(f"{folder / store.SAMPLES} answers other requests; delete {folder} and run again.")


def _without_latency(folder: Path) -> list[TimingRecord]:
    """The timings on disk, less those of an interrupted latency pass: it is made again, for its texts were not kept."""
    timings = store.read_timings(folder)
    kept = [timing for timing in timings if timing.kind != "latency"]
    if len(kept) < len(timings):
        write_lines(folder / store.TIMINGS, map(to_json, kept))
    return kept


def _records(requests: Sequence[Request], call: Call) -> list[SampleRecord]:
    return [
        SampleRecord(sample.id, sample.text, sample.tokens, sample.finished, request.seed, dict(call.calls))
        for request, sample in zip(requests, call.samples, strict=True)
    ]
