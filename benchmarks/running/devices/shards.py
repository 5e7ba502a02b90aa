"""The texts of one cell that several devices make at once: which batches are whose, and what is kept of them.

Batches are those of one device, number i of N devices makes every N-th from the i-th on, and the texts are put together
in the order of their documents: the same bytes, however many devices there are. What a device has made is kept in a
file of its own within the cell's folder until the cell is done, and is not made again.

    shards/NUMBER.jsonl     of each device: a line for each batch that it made
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from baselines.contract import Request
from benchmarks.records import seals, store
from benchmarks.records.files import Appender, StoreError, read_lines, write_lines
from benchmarks.records.schema import Json, SampleRecord, TimingRecord, sample_from_json, timing_from_json
from benchmarks.running.sample_records import check_answers
from cosmos.io.files import saving
from cosmos.io.seals import changed

FOLDER = "shards"


@dataclass(frozen=True)
class Made:
    """A batch that was made: what it is recorded by, and its texts."""

    timing: TimingRecord
    samples: tuple[SampleRecord, ...]

    def as_json(self) -> Json:
        return {"timing": asdict(self.timing), "samples": [asdict(sample) for sample in self.samples]}


def own_batches(count: int, number: int, devices: int, made: Mapping[int, Made]) -> list[int]:
    """The batches, of so many, that a device is to make."""
    return [index for index in range(number, count, devices) if index not in made]


def keeping(cell: Path, number: int) -> Appender:
    """Where a device keeps what it makes."""
    (cell / FOLDER).mkdir(parents=True, exist_ok=True)
    return Appender(cell / FOLDER / f"{number}.jsonl")


def read_made(cell: Path, groups: Sequence[Sequence[Request]]) -> dict[int, Made]:
    """The batches that earlier attempts, on however many devices, have left of a cell.

    Raises:
        UserError: they answer other requests, or a file is damaged.
    """
    found: dict[int, Made] = {}
    for path in sorted((cell / FOLDER).glob("*.jsonl")):
        for number, row in enumerate(read_lines(path), start=1):
            where = f"Line {number} of {path}"
            samples = tuple(sample_from_json(sample, where) for sample in row["samples"])
            made = Made(timing_from_json(row["timing"], where), samples)
            index = made.timing.index
            check_answers(samples, groups[index] if index < len(groups) else (), cell / FOLDER)
            if seals.timing_seal(made.timing, samples) != made.timing.seal:
                raise changed(path, f"delete {cell / FOLDER} and run again")
            found.setdefault(index, made)
    return found


def count(cell: Path) -> int:
    """How many batches devices have kept of a cell that is not done."""
    return sum(path.read_bytes().count(b"\n") for path in (cell / FOLDER).glob("*.jsonl"))


def merge(cell: Path, made: Mapping[int, Made], whole: TimingRecord | None) -> None:
    """Put texts and timings of all devices together, in order. What each has kept stays until the cell is done.

    Args:
        whole: the time of all, where all were made at once.
    """
    batches = [made[index] for index in sorted(made)]
    rows = [seals.sample_row(sample) for batch in batches for sample in batch.samples]
    with saving(cell / store.TIMINGS, StoreError):  # those of other texts go first, so that never both are there
        (cell / store.TIMINGS).unlink(missing_ok=True)
    write_lines(cell / store.SAMPLES, rows)
    timings = [batch.timing for batch in batches] + ([] if whole is None else [whole])
    write_lines(cell / store.TIMINGS, [vars(timing) for timing in timings])


def forget(cell: Path) -> None:
    """Delete what each device has kept of a cell whose header says that it is done."""
    shutil.rmtree(cell / FOLDER, ignore_errors=True)
