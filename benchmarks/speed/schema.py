"""What a measurement of speed leaves on disk, `speed.jsonl`: one line per thing measured. Standard library only.

Every line says its `kind`: "ceilings" (what the machine can do), "generation" or "training".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from baselines.contract import UserError
from benchmarks.records import seals
from benchmarks.records.ceilings import Ceilings as Ceilings
from benchmarks.records.files import read_lines
from benchmarks.records.parts import MadeWith, NotMade
from benchmarks.records.schema import Json, identity, method_by_name
from cosmos.io.typed_json import Amount, AnyText, Count, read_as

FILE = "speed.jsonl"
SCHEMA = 3  # 2: records say the method of a system; 3: lines are sealed
_SEALED = 3
WEIGHTS = "random weights"
_REMEDY = "delete the line, or choose another folder"


@dataclass(frozen=True)
class Subject:
    """What is measured; its hash is the identity of a record.

    Attributes:
        what: the setting for generating, the stage for training.
        values: the setting, or the training configuration, whole.
        length: positions of a text, the given first one ([CLS] or the start) included.
    """

    kind: Literal["generation", "training"]
    system: str
    preset: str
    recipe: Json
    what: str
    values: Json
    batch: Count
    length: Count
    vocabulary: Count
    dtype: str
    device: str

    @property
    def key(self) -> str:
        return identity(asdict(self))

    @property
    def capture(self) -> str:
        return str(self.values.get("capture", "off"))


@dataclass(frozen=True)
class SpeedRecord:
    """One measurement.

    Attributes:
        made: code and machine, asked once for all entries of a system that follow each other.
        method: which the system is a variant of, as its class says.
        seconds: of every repeat: a batch from requests to texts, or (training) one optimiser step, the mean of a block.
        preparation: seconds of the calls before, in which networks are compiled and recorded.
        calls: network -> calls in one batch, counted.
        flops: of one batch or step; a multiply and an add are two.
        bytes_read: weights and attended keys and values, of all calls of one batch.
        peak_bytes: of GPU memory, preparation included; None on a CPU.
        parts: network -> seconds of one call under the same capture; a network whose call cannot be repeated is left
            out.
        tokens: positions written in one batch, or learnt from in one step, of all texts.
    """

    subject: Subject
    status: Literal["done", "failed"]
    created: str
    made: Annotated[Json, MadeWith | NotMade]
    reason: AnyText = ""
    method: str = ""
    seconds: tuple[Amount, ...] = ()
    preparation: tuple[Amount, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    flops: Amount | None = None
    bytes_read: Amount | None = None
    peak_bytes: Count | None = None
    parts: Mapping[str, Amount] = field(default_factory=dict)
    tokens: Count = 0
    weights: str = WEIGHTS


@dataclass(frozen=True)
class Speed:
    """All records of a folder."""

    ceilings: Ceilings | None
    measured: tuple[SpeedRecord, ...]

    @property
    def keys(self) -> set[str]:
        return {record.subject.key for record in self.measured}


def to_line(record: Ceilings | SpeedRecord) -> Json:
    """A record as one JSON line."""
    kind = "ceilings" if isinstance(record, Ceilings) else record.subject.kind
    return seals.sealed({"schema": SCHEMA, "kind": kind, **asdict(record)})


def read_records(folder: Path) -> Speed:
    """All records of a folder, in the order in which they were measured.

    Raises:
        UserError: a damaged or changed line, or one of another version.
    """
    return from_lines(read_lines(folder / FILE), folder / FILE)


def from_lines(lines: Iterable[Json], where: Path) -> Speed:
    """Records from JSON lines; `where` names their file in errors."""
    ceilings, measured = None, []
    for read in lines:
        line = read_as(dict[str, Any], read, str(where), _REMEDY)
        schema = line.get("schema")
        if schema not in (1, 2, SCHEMA):
            raise UserError(f"{where} has schema {schema}, this version reads {SCHEMA}; choose another folder.")
        said = f"A line of {where}"
        values = seals.opened(line, said, "delete it, and measure again", wanted=schema >= _SEALED)
        del values["schema"]
        kind = values.pop("kind", None)
        if kind == "ceilings":
            ceilings = read_as(Ceilings, values, str(where), _REMEDY)
        else:
            record = read_as(SpeedRecord, values, str(where), _REMEDY)
            method = record.method or method_by_name(record.subject.system)  # schema 1 does not say it
            measured.append(replace(record, method=method))
    return Speed(ceilings, tuple(measured))
