"""Generate, time and keep the texts of one cell; taken up again, the files are those of an undisturbed run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from baselines.contract import Request, System, UserError
from benchmarks.records import seals, store
from benchmarks.records.files import Appender, write_lines
from benchmarks.records.schema import Json, SampleRecord, TimingRecord
from benchmarks.timing import memory, verdict
from benchmarks.timing.clock import Clock
from benchmarks.timing.probes import OtherLoad
from benchmarks.timing.protocol import Call, Protocol, batches, repeat, single, timed, warm_up


@dataclass(frozen=True)
class Conditions:
    """Under which texts are made and timed.

    Attributes:
        batch_size: texts made at once.
        sweep: other numbers of texts at once, whose speed is measured afterwards; one that does not fit is left out.
        rules: by which the timings are valid.
    """

    device: str
    batch_size: int
    sweep: tuple[int, ...]
    protocol: Protocol
    rules: verdict.Rules


def generate(
    system: System,
    setting: Any,
    requests: Sequence[Request],
    folder: Path,
    conditions: Conditions,
    *,
    progress: Callable[[float], None],
    say: Callable[[str], None],
) -> Json:
    """Fill samples.jsonl and timings.jsonl of a cell's folder.

    A batch counts as done when its samples and its timing are on disk. One that is not is made again as a whole, and
    only the lines that are missing are added. Where the device's memory does not hold so many texts at once, half as
    many are made at once, which changes no text; the verdict says how many it was.

    Returns:
        the verdict on the timings.

    Raises:
        UserError: the samples on disk are not answers to these requests, or not even one text fits.
    """
    _check(store.read_samples(folder), requests, folder)
    size = conditions.batch_size
    while True:
        try:
            fitting = replace(conditions, batch_size=size)
            return _generate(system, setting, requests, folder, fitting, progress, say)
        except Exception as error:
            if not memory.is_exhausted(error):
                raise
        # Only here, where nothing refers to the failed call's tensors any more, can their memory be given back.
        memory.free()
        size = min(size, len(requests))
        if size == 1:
            raise UserError("The device's memory does not hold even one text; use a smaller preset, or another device.")
        say(f"{size} texts at once do not fit into the device's memory; going on with {size // 2}")
        size //= 2


def _generate(
    system: System,
    setting: Any,
    requests: Sequence[Request],
    folder: Path,
    conditions: Conditions,
    progress: Callable[[float], None],
    say: Callable[[str], None],
) -> Json:
    """`generate`, if memory holds as many texts at once."""
    size, protocol = conditions.batch_size, conditions.protocol
    stored_samples, stored = store.read_samples(folder), store.read_timings(folder)
    clock, load = Clock(conditions.device), OtherLoad()
    groups = batches(requests, size)
    ids = [tuple(request.id for request in group) for group in groups]
    timings = [timing for timing in stored if _stays(timing, ids)]
    done = {timing.index for timing in timings if timing.kind == "batch"}
    larger = any(timing.kind == "batch" and not _stays(timing, ids) for timing in stored)
    if larger:  # and so are the batches that the samples came from
        stored_samples = stored_samples[: size * next(index for index in range(len(groups) + 1) if index not in done)]
    todo = [
        index
        for index in range(len(groups))
        if index not in done or len(stored_samples) < index * size + len(groups[index])
    ]
    # Before what is on disk is touched, as this is where memory runs out.
    warm_ups = list(_warm_up(system, setting, [groups[index] for index in todo], clock, protocol))
    singles = requests[: protocol.latency_texts[1] if protocol.rehearse else 1]
    rehearsed = [groups[index] for index in todo] if protocol.rehearse else []
    warm_ups += [timed(system, group, setting, clock) for group in (*rehearsed, *([request] for request in singles))]
    if larger:
        write_lines(folder / store.SAMPLES, map(seals.sample_row, stored_samples))
    if len(timings) < len(stored):
        write_lines(folder / store.TIMINGS, map(vars, timings))
    changed, records = 0, list(stored_samples)
    # What is on disk is in memory too, so that it is not read again; rows are not copied deeply, as `to_json` would.
    with Appender(folder / store.SAMPLES) as samples, Appender(folder / store.TIMINGS) as times:

        def keep(
            kind: Literal["warmup", "batch", "latency", "sweep"],
            index: int,
            call: Call,
            made: Sequence[SampleRecord] = (),
        ) -> None:
            ids = tuple(sample.id for sample in call.samples)
            timing = TimingRecord(kind, index, ids, call.seconds, call.calls)
            timings.append(replace(timing, seal=seals.timing_seal(timing, made)))
            times.append([vars(timings[-1])])

        for index, call in enumerate(warm_ups, sum(timing.kind == "warmup" for timing in timings)):
            keep("warmup", index, call)
        for index in todo:
            call = timed(system, groups[index], setting, clock)
            rows = _records(groups[index], call)
            had = stored_samples[index * size :][: len(rows)]
            changed += sum(_differ(old, new) for old, new in zip(had, rows, strict=False))
            samples.append(map(seals.sample_row, rows[len(had) :]))
            records += rows[len(had) :]
            keep("batch", index, call, [*had, *rows[len(had) :]])
            progress((index + 1) / (len(groups) + 1))
        alone = {}
        for index, call in enumerate(single(lambda r: timed(system, [r], setting, clock), requests, protocol)):
            keep("latency", index, call)
            alone[call.samples[0].id] = call.samples[0].text
        differing = 0
        texts = {sample.id: sample.text for sample in records}
        for index, call in enumerate(
            _time_other_sizes(system, setting, requests, conditions.sweep, clock, protocol, say)
        ):
            keep("sweep", index, call)
            differing += sum(texts[sample.id] != sample.text for sample in call.samples)
    progress(1.0)
    said = verdict.judge(records, timings, alone, changed, load.share(), conditions.rules)
    if conditions.sweep:
        said["sweep_differing"] = differing
    return {**said, "batch_size": size, "warm_up_seconds": sum(call.seconds for call in warm_ups)}


def _time_other_sizes(
    system: System,
    setting: Any,
    requests: Sequence[Request],
    sizes: Sequence[int],
    clock: Clock,
    protocol: Protocol,
    say: Callable[[str], None],
) -> Iterator[Call]:
    """Timed calls with other numbers of texts at once; each is made often enough first that nothing is left to prepare.

    Where there are fewer requests than texts wanted, all of them are made.
    """
    for size in sizes:
        call = partial(timed, system, requests[:size], setting, clock)
        try:
            for _ in warm_up(call, protocol):
                pass
            yield from repeat(call, protocol)
        except Exception as error:
            if not memory.is_exhausted(error):
                raise
            say(f"{size} texts at once do not fit into the device's memory; their speed is not measured")
        memory.free()


def _warm_up(
    system: System, setting: Any, groups: Sequence[Sequence[Request]], clock: Clock, protocol: Protocol
) -> Iterator[Call]:
    """Calls for each size of batch that is to be timed, so that nothing is compiled, recorded or allocated in a timing.

    The first size is called until it is steady, any other (the last batch is smaller) once.
    """
    by_size = {len(group): group for group in reversed(groups)}
    for size in dict.fromkeys(len(group) for group in groups):
        call = partial(timed, system, by_size[size], setting, clock)
        if size == len(groups[0]):
            yield from warm_up(call, protocol)
        else:
            yield call()


def _stays(timing: TimingRecord, ids: Sequence[tuple[str, ...]]) -> bool:
    """Whether a timing on disk still counts: a batch of these, but no latency, for those texts were not kept."""
    if timing.kind == "batch":
        return timing.index < len(ids) and timing.ids == ids[timing.index]
    return timing.kind == "warmup"


def _check(samples: Sequence[SampleRecord], requests: Sequence[Request], folder: Path) -> None:
    """See that the samples on disk answer the first requests."""
    asked = [(request.id, request.seed) for request in requests[: len(samples)]]
    if [(sample.id, sample.seed) for sample in samples] != asked:
        raise UserError(f"{folder / store.SAMPLES} answers other requests; delete {folder} and run again.")


def _records(requests: Sequence[Request], call: Call) -> list[SampleRecord]:
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


def _differ(old: SampleRecord, new: SampleRecord) -> bool:
    """Whether a text made again is another; lines of earlier versions lack what was not kept then."""
    return old != (replace(new, entropy=None) if old.entropy is None else new)
