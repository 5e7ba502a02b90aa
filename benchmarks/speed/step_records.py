"""What a table of training steps leaves on disk, a sealed line as soon as it is measured, so that a killed one goes on.

`training_steps.jsonl` has lines of three kinds: "ceilings" (what the machine can do), "step" and "kernels".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.records import seals
from benchmarks.records.ceilings import Ceilings
from benchmarks.records.environment import alike, made_with
from benchmarks.records.files import Appender, StoreError, locked, read_lines
from benchmarks.records.schema import Json
from benchmarks.speed.kernels import KernelTime
from cosmos.io.files import make_folder
from cosmos.io.typed_json import AnyText, read_as

FILE = "training_steps.jsonl"
SCHEMA = 1
_REMEDY = "delete the line, or choose another folder with --out"


@dataclass(frozen=True)
class StepTime:
    """What steps took.

    Attributes:
        seconds: of one step, the mean of blocks. flops: of one step, padding included.
        preparation: seconds in which shapes were compiled and recorded.
        ceiling: share of the matrix products that the machine was measured to do at best.
        reason: why there is nothing.
    """

    line: str
    mode: str
    batch: int
    seconds: float | None = None
    flops: float | None = None
    preparation: float | None = None
    ceiling: float | None = None
    peak_bytes: int | None = None
    reason: AnyText = ""


@dataclass
class StepRecords:
    """What a folder holds, each by the hash of all that was asked; what is added is on disk at once. Without a file it
    is kept in memory alone."""

    file: Appender | None = None
    ceilings: Ceilings | None = None
    steps: dict[str, StepTime] = field(default_factory=dict)
    kernels: dict[str, list[KernelTime]] = field(default_factory=dict)

    def add_ceilings(self, ceilings: Ceilings) -> None:
        self.ceilings = ceilings
        self._append("ceilings", asdict(ceilings))

    def add_step(self, key: str, step: StepTime) -> None:
        self.steps[key] = step
        self._append("step", {"key": key, "step": asdict(step)})

    def add_kernels(self, key: str, kernels: list[KernelTime]) -> None:
        self.kernels[key] = kernels
        self._append("kernels", {"key": key, "kernels": [asdict(kernel) for kernel in kernels]})

    def _append(self, kind: str, values: Json) -> None:
        if self.file is not None:
            self.file.append([seals.sealed({"schema": SCHEMA, "kind": kind, **values})])


@contextmanager
def opened(folder: Path, device: str) -> Iterator[StepRecords]:
    """The records of a folder, which is made if need be and is no other process's as long.

    Raises:
        UserError: it cannot be written or read, a line was changed, or it was measured with other code or elsewhere.
    """
    make_folder(folder, StoreError)
    with locked(folder):
        records = _read(folder / FILE)
        if records.ceilings is not None and not alike(records.ceilings.made, made_with(device)):
            raise UserError(f"{folder} was measured with other code or on another machine; choose another with --out.")
        with Appender(folder / FILE) as file:
            records.file = file
            yield records


def _read(path: Path) -> StepRecords:
    """The lines of a file; of several with one key the last counts."""
    records = StepRecords()
    for number, line in enumerate(read_lines(path), start=1):
        where = f"Line {number} of {path}"
        row = seals.opened(read_as(dict[str, Any], line, where, _REMEDY), where, _REMEDY, wanted=True)
        found, kind = row.pop("schema", None), row.pop("kind", None)
        if found != SCHEMA:
            raise UserError(f"{path} has schema {found}, this version reads {SCHEMA}; choose another folder.")
        if kind == "ceilings":
            records.ceilings = read_as(Ceilings, row, where, _REMEDY)
        elif kind == "step":
            step = read_as(_Step, row, where, _REMEDY)
            records.steps[step.key] = step.step
        else:
            kernels = read_as(_Kernels, row, where, _REMEDY)
            records.kernels[kernels.key] = list(kernels.kernels)
    return records


@dataclass(frozen=True)
class _Step:
    key: str
    step: StepTime


@dataclass(frozen=True)
class _Kernels:
    key: str
    kernels: tuple[KernelTime, ...]
