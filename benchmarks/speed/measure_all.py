"""Measuring everything that is asked for, one record on disk at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from baselines.contract import Limits, RandomTraining, UserError, ValidatesSetting
from benchmarks.records.environment import alike, made_with, now
from benchmarks.records.files import Appender, StoreError, locked
from benchmarks.records.schema import Json
from benchmarks.running.cell_status import ProgressReporter
from benchmarks.speed import measure, schema, timed_steps
from benchmarks.speed.lines import PlannedTiming, SpeedOptions
from benchmarks.speed.schema import Speed, SpeedRecord
from benchmarks.timing import ceilings
from cosmos.io.files import WriteError, make_folder

BATCHES_OF_ROWS = 4  # how many batches of made-up rows there are


def run(
    entries: Sequence[PlannedTiming],
    options: SpeedOptions,
    folder: Path,
    device: str,
    dtype: str,
    voice: ProgressReporter,
) -> Speed:
    """Measure what the folder does not hold yet. An entry that fails is recorded with its reason and ends nothing.

    Raises:
        UserError: the folder holds measurements of other code or of another machine: times of two machines, or of two
            versions, do not belong in one table.
    """
    make_folder(folder, StoreError)
    with locked(folder):
        earlier = schema.read_records(folder)
        origin = made_with(device)
        if earlier.ceilings is not None and not alike(earlier.ceilings.made, origin):
            raise UserError(f"{folder} was measured with other code or on another machine; choose another with --out.")
        with Appender(folder / schema.FILE) as file:
            if earlier.ceilings is None:
                voice.say("measuring what the machine can do")
                file.append([schema.to_line(ceilings.measure(device, dtype))])
            todo = [entry for entry in entries if entry.subject.key not in earlier.keys]
            for number, record in enumerate(_measured(todo, options, device, dtype), start=1):
                file.append([schema.to_line(record)])
                voice.say(f"{number}/{len(todo)} {_told(record)}")
    return schema.read_records(folder)


def _measured(todo: Sequence[PlannedTiming], options: SpeedOptions, device: str, dtype: str) -> Iterator[SpeedRecord]:
    """Records in order; a system is built once for all entries that follow each other."""
    for _, group in groupby(todo, key=lambda entry: (entry.subject.kind, entry.subject.system, entry.recipe)):
        same = list(group)
        measure_all = _trainings if same[0].subject.kind == "training" else _generations
        origin: Json | None = None
        for record in measure_all(same, options, device, dtype):
            origin = origin or made_with(
                device
            )  # right after work, so that clocks are those of work; it asks a program
            yield replace(record, made=origin, method=getattr(same[0].system, "method", record.subject.system))


def _trainings(same: Sequence[PlannedTiming], options: SpeedOptions, device: str, dtype: str) -> Iterator[SpeedRecord]:
    yield from (_guarded(entry, partial(_steps, entry, options, device)) for entry in same)


def _generations(
    same: Sequence[PlannedTiming], options: SpeedOptions, device: str, dtype: str
) -> Iterator[SpeedRecord]:
    bench = _guarded(same[0], partial(bench_of, same[0], options, device, dtype))
    for entry in same:
        if isinstance(bench, measure.Bench):
            yield _guarded(entry, partial(_generation, entry, bench))
        else:  # it could not even be built
            yield _failed(entry, bench.reason)


Found = TypeVar("Found")


def _guarded(entry: PlannedTiming, what: Callable[[], Found]) -> Found | SpeedRecord:
    """What `what` returns, or a record that says why it did not."""
    try:
        return what()
    except WriteError:
        raise
    except UserError as error:
        reason = str(error)
    except Exception as error:  # such as too little memory: one entry's own failure, and recorded
        reason = _reason(error)
    gc.collect()  # outside of the handler, whose error holds on to everything that was being computed
    return _failed(entry, reason)


def _reason(error: Exception) -> str:
    short = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"out of memory ({short})" if "out of memory" in str(error) else short


def _failed(entry: PlannedTiming, reason: str) -> SpeedRecord:
    return SpeedRecord(entry.subject, "failed", now(), {}, reason)


def bench_of(entry: PlannedTiming, options: SpeedOptions, device: str, dtype: str) -> measure.Bench:
    """The entry's system, ready to generate."""
    system = entry.system(entry.recipe, Limits(0, options.length))
    system.untrained(options.vocabulary, seed=0, device=device, dtype=dtype)
    return measure.Bench(system, options.length, device, options.seconds)


def _generation(entry: PlannedTiming, bench: measure.Bench) -> SpeedRecord:
    subject, setting = entry.subject, entry.setting
    if isinstance(bench.system, ValidatesSetting):
        bench.system.check_setting(setting)
    batch = subject.batch
    work = bench.work(setting, batch)
    taken = bench.generation(setting, batch)
    parts, reason = {}, ""
    try:
        parts = bench.parts(setting, batch)
    except Exception as error:  # the whole was measured all the same
        reason = f"no single call was timed: {_reason(error)}"
    return SpeedRecord(
        subject,
        "done",
        now(),
        {},
        reason,
        seconds=taken.seconds,
        preparation=taken.preparation,
        calls=work.calls,
        parameters=measure.parameters(bench.system.networks()),
        flops=batch / work.texts * work.flops,
        bytes_read=bench.weight_bytes(work) + batch / work.texts * work.attended,
        peak_bytes=taken.peak_bytes,
        parts=parts,
        tokens=batch * (subject.length - 1),
    )


def _steps(entry: PlannedTiming, options: SpeedOptions, device: str) -> SpeedRecord:
    subject = entry.subject
    system = entry.system(entry.recipe, Limits(0, options.length))
    rows = BATCHES_OF_ROWS * subject.batch
    asked = RandomTraining(entry.setting, 0, rows, options.vocabulary, {})
    taken = timed_steps.measure(system, asked, device, timed_steps.SHORT)
    return SpeedRecord(
        subject,
        "done",
        now(),
        {},
        seconds=taken.blocks,
        preparation=(taken.preparation,),
        flops=taken.flops,
        peak_bytes=taken.peak_bytes,
        tokens=subject.batch * subject.length,
    )


def _told(record: SpeedRecord) -> str:
    subject = record.subject
    if record.status == "failed":
        result = f"failed: {record.reason}"
    else:
        result = f"{1e3 * sorted(record.seconds)[len(record.seconds) // 2]:.3g} ms"
    return f"{subject.system} {subject.what} ({subject.capture}) batch {subject.batch}: {result}"
