"""The schema of what one cell leaves on disk. Standard library only, so that anything can read a record.

A cell's folder holds

    header.json     one `Header`: what was run, on what, and how it ended; replaced atomically
    samples.jsonl   one `SampleRecord` a line, in the order of the requests; append-only
    timings.jsonl   one `TimingRecord` a line; append-only
    likelihoods.jsonl  one `LikelihoodRecord` a line, in the order of the test documents; written as a whole, and only
                    where the system gives likelihoods
    scores.jsonl    one `Score` a line; replaced atomically by each scoring
    as_written.jsonl
                    one `Score` a line, of a cell that repeats the references: what they score against themselves as
                    they were written, before and after the tokenizer's round trip; likewise

and the run's folder holds `plan.json`, the test documents under `documents/`, the texts learnt from under `learnt/`,
the tokenizer under `tokenizers/`, the checkpoints under `checkpoints/`, the cells under `cells/` and the report under
`report/`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from baselines.contract import UserError
from benchmarks.records.parts import (
    DeclaredHeader,
    DocumentsDigest,
    ImportedTexts,
    MachineDescription,
    MadeWith,
    NoiseFloorSummary,
    NotMade,
    TimingVerdict,
    TokenizerDescription,
    UndeclaredHeader,
)
from benchmarks.records.parts import Json as Json
from benchmarks.records.probe_results import ProbeResults
from benchmarks.records.timed_call import TimingRecord as TimingRecord
from cosmos.io.typed_json import Amount, AnyText, Count, read_as

# 2: what the source read stands in the header; 3: so does what a system declares of itself; 4: records are sealed, and
# say why a system gives no likelihood; 5: samples may hold the entropy of their own tokens; 6: timed calls say their
# round, process, device and CPU seconds, phases, what they kept and a hash of their texts, and a verdict is given for
# each quantity (`benchmarks.records.validity`), and headers say what generating takes besides time
SCHEMA = 6
_SHOWN = 8  # digits of a hash that are shown
FORM = "form"  # the option of a signature that says what was done to texts before they were judged

Status = Literal["started", "done", "failed", "refused"]
Direction = Literal["higher", "lower", "none"]
_AGAIN = "delete its folder and run again"


def canonical_json(value: Any) -> str:
    """One spelling of a JSON value: sorted keys, no spaces, no NaN. Identities are hashes of this."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def identity(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Cell:
    """One thing to be measured. Its identity is the hash of exactly these fields.

    Attributes:
        data: the options of the source (sizes, seed, folder), all of them.
        recipe: the full configuration of the system at this preset, after `--set`.
        setting: the name of the setting; `setting_values` what it says, all of it, after `--set`. Neither it nor the
            recipe holds what `cosmos.io.later_fields` leaves out.
        limit: how many test documents, or None for all.
        batch_size: how many texts are generated at once when throughput is timed.
        seed: everything random in training and generation is derived from it.
        sweep: other numbers of texts at once whose speed is measured too; "best": the fastest one, which is searched.
        contents: dotted key of a field that names a file or folder -> the hash of what is in it, which stands for the
            name in the identity.
        tokenizer: folder or cached name of the text encoder whose tokenizer the run's systems share; None, which no
            identity holds, for the packaged one's.
        devices: those that make the texts at once; none, which no identity holds, where `device` makes them alone. It
            is no matter of training, and so of no checkpoint.
    """

    task: str
    task_version: str
    source: str
    data: Json
    system: str
    preset: str
    recipe: Json
    budget: str
    setting: str
    setting_values: Json
    limit: Count | None
    batch_size: Count
    device: str
    dtype: str
    seed: Count
    sweep: tuple[Count, ...] | Literal["best"] = ()
    contents: Mapping[str, str] = field(default_factory=dict)
    tokenizer: str | None = None
    devices: tuple[str, ...] = ()

    _TRAINING: ClassVar[tuple[str, ...]] = (
        "task",
        "task_version",
        "source",
        "data",
        "system",
        "preset",
        "recipe",
        "budget",
        "device",
        "seed",
        "tokenizer",
    )

    @cached_property
    def id(self) -> str:
        return identity(self.identified)

    @cached_property
    def checkpoint_id(self) -> str:
        """The hash of the training inputs alone, so that settings share a checkpoint."""
        return identity(self.training_inputs)

    @property
    def training_inputs(self) -> Json:
        """Those of the fields, as they enter the identity, that decide what is trained."""
        return {name: self.identified[name] for name in self._TRAINING if name in self.identified}

    @cached_property
    def identified(self) -> Json:
        """The fields as they enter the identity: files and folders by their contents, wherever they lie. A tokenizer
        that is the packaged one is left out, and so is a list of devices that is empty, since identities are older."""
        fields = dataclasses.asdict(self)
        for key, content in fields.pop("contents").items():
            *parts, last = key.split(".")
            functools.reduce(operator.getitem, parts, fields)[last] = f"sha256:{content}"
        if self.tokenizer is None:
            del fields["tokenizer"]
        if not self.devices:
            del fields["devices"]
        return fields


@dataclass(frozen=True)
class Network:
    """Parameters of one network of a system."""

    parameters: Count
    trainable: Count


@dataclass(frozen=True)
class Training:
    """What `System.fit` reported."""

    steps: Count
    seconds: Amount
    flops: Amount
    validation_loss: float | None
    notes: Json


@dataclass(frozen=True)
class Header:
    """What was run, on what, and how it ended."""

    cell: Cell
    status: Status
    reason: AnyText | None = None
    created: str = ""  # UTC, ISO 8601
    finished: str | None = None
    command: AnyText = ""  # the command that makes this cell again
    titles: Mapping[str, str] = field(default_factory=dict)  # what people call the "system" and the "setting"
    method: str = ""  # which the system is a variant of, as its class says: "cosmos" of `cosmos-8`
    no_likelihood: str | None = None  # why the system gives none, as its class says
    external_weights: tuple[str, ...] = ()  # names of weights learnt elsewhere that the system declares, none: scratch
    commit: str | None = None
    dirty: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    device: Annotated[Json, MachineDescription] = field(default_factory=dict)  # driver and clocks too where known
    imported: Annotated[Json, ImportedTexts | NotMade] = field(default_factory=dict)  # of texts from elsewhere
    content: Json = field(default_factory=dict)  # what the source read: names, revision, hashes, where it says them
    documents: Mapping[str, Annotated[Json, DocumentsDigest]] = field(default_factory=dict)  # by split
    tokenizer: Annotated[Json, TokenizerDescription | NotMade] = field(
        default_factory=dict
    )  # of the run, and of the system
    training: Training | None = None
    trained_with: Annotated[Json, MadeWith | NotMade] = field(default_factory=dict)  # what the training was made with
    earlier: tuple[Annotated[Json, MadeWith], ...] = ()  # of interrupted attempts that left texts, where not as now
    networks: Mapping[str, Network] = field(default_factory=dict)  # the first is the one whose calls are the NFE
    parameters: Network | None = None  # of all networks together, each parameter counted once
    cold_start: Mapping[str, Amount] = field(default_factory=dict)  # seconds of what is done once before the first text
    verdict: Annotated[Json, TimingVerdict] = field(default_factory=dict)  # of the timing
    probes: ProbeResults | None = None  # what generating takes besides time, from passes of their own
    noise_floor: Annotated[Json, NoiseFloorSummary] = field(default_factory=dict)  # of the machine, if it was measured
    files: Mapping[str, str] = field(default_factory=dict)  # name -> SHA-256 of what was whole when the cell was done
    schema: int = SCHEMA

    @cached_property
    def entry_id(self) -> str:
        """Equal for cells that differ by their seed alone and were asked the same documents."""
        cell = {name: value for name, value in self.cell.identified.items() if name != "seed"}
        return identity([cell, str(self.documents.get("test", {}).get("sha256", ""))])

    @property
    def batch_size(self) -> int:
        """How many texts were really made at once: fewer than asked for where memory did not hold as many."""
        size: int = self.verdict.get("batch_size", self.cell.batch_size)
        return size


@dataclass(frozen=True)
class SampleRecord:
    """One generated text. Holds nothing that could differ between two runs of the same cell."""

    id: str
    text: AnyText
    tokens: Count
    finished: bool
    seed: int
    calls: Mapping[str, Count]  # network -> forward calls of the batch the text was generated in
    entropy: Amount | None = None  # of the tokens the system wrote (`Sample.sequence`), in nats; a line may lack it


@dataclass(frozen=True)
class LikelihoodRecord:
    """How likely the system finds the target of one test document; see `baselines.contract.Likelihood`."""

    id: str
    nats: Amount | None
    tokens: Count
    kind: Literal["exact", "bound"]
    draws: Count
    reason: str | None


@dataclass(frozen=True)
class Signature:
    """Who judged: two scores may be compared only if their signatures are equal."""

    metric: str
    version: str  # of our definition
    evaluator: str  # for example "rouge-score 0.1.2" or "world grammar 1"
    options: Json = field(default_factory=dict)
    weights: str | None = None  # hash of a model's weights, where a model judges

    @property
    def form(self) -> str:
        """What was done to texts before they were judged; "" in signatures that do not say it."""
        return str(self.options.get(FORM, ""))

    def __str__(self) -> str:
        options = ",".join(f"{key}:{value}" for key, value in sorted(self.options.items()))
        parts = [
            f"{self.metric}|v{self.version}",
            self.evaluator,
            options,
            f"w:{self.weights[:_SHOWN]}" if self.weights else "",
        ]
        return "|".join(part for part in parts if part)


def difference(signatures: Sequence[Signature]) -> str | None:
    """What keeps scores from being compared: each part in which their signatures are unlike; None if they may be.

    For example "version “1” against “2”; option words “20” against “32”; weights “1a2b3c4d” against “5e6f7a8b”".
    """
    told = {part: [str(getattr(s, part)) for s in signatures] for part in ("metric", "version", "evaluator")}
    for name in sorted({name for signature in signatures for name in signature.options}):
        told[f"option {name}"] = [str(signature.options.get(name, "not set")) for signature in signatures]
    weights = [signature.weights or "none" for signature in signatures]
    short = [text[:_SHOWN] for text in weights]
    told["weights"] = short if len(set(short)) == len(set(weights)) else weights
    parts = [
        f"{part} " + " against ".join(f"“{value}”" for value in dict.fromkeys(values))
        for part, values in told.items()
        if len(set(values)) > 1
    ]
    return "; ".join(parts) or None


@dataclass(frozen=True)
class Score:
    """One score of one cell.

    `value` is None where there is none, and `reason` says why, beginning with one of: not run, missing evaluator,
    failed, too few. `n` of `total` texts entered. `values` holds the score of each text in the order of samples.jsonl
    (None where it has none) for metrics that are means over texts, and is None for corpus metrics. `summary` is the
    metric's definition in a sentence, `title` what people call it, `companions` are the metrics without which it
    misleads.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None  # of the interval, for example 0.95
    n: Count
    total: Count
    direction: Direction
    signature: Signature
    reason: AnyText | None = None
    values: tuple[float | None, ...] | None = None
    summary: str = ""
    title: str = ""
    companions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """Everything one cell left on disk."""

    header: Header
    samples: tuple[SampleRecord, ...]
    timings: tuple[TimingRecord, ...]
    scores: tuple[Score, ...]
    as_written: tuple[Score, ...] = ()  # of references against references as they were written


def to_json(value: Any) -> Json:
    """A record dataclass as plain JSON values."""
    out: Json = dataclasses.asdict(value)
    return out


def check_schema(schema: object, where: str) -> None:
    """Refuse a record written by a later version of this project."""
    if not isinstance(schema, int) or schema < 1:
        raise UserError(f"{where} is not a record of this project: it has no schema number.")
    if schema > SCHEMA:
        raise UserError(
            f"{where} has schema {schema}, newer than the {SCHEMA} this version reads; update cosmos-bench."
        )


def header_from_json(data: Json, where: str) -> Header:
    """Read a header; `where` names the file in errors."""
    check_schema(data.get("schema"), where)
    if data["schema"] < 3:
        old = read_as(UndeclaredHeader, {"parameters": None, **data}, where, _AGAIN)
        data = {**data, **_undeclared(old), "schema": SCHEMA}
    read_as(DeclaredHeader, data, where, _AGAIN)
    return read_as(Header, data, where, _AGAIN)


def _undeclared(data: UndeclaredHeader) -> Json:
    """What headers before schema 3 say of a system's method and of the weights learnt elsewhere that it uses.

    Then Cosmos was the system of that name and those whose names began with it and a hyphen; a recipe named a frozen
    encoder in a field `text_encoder` and a network to begin with in a field `pretrained`, at any depth; and whoever
    generated with frozen parameters had them from elsewhere.
    """
    recipe, total = data["cell"]["recipe"], data["parameters"]
    names = list(dict.fromkeys([*_values(recipe, "text_encoder"), *_values(recipe, "pretrained")]))
    if not names and total and total["parameters"] > total["trainable"]:
        names = ["frozen parameters"]
    return {"method": method_by_name(data["cell"]["system"]), "external_weights": names}


def method_by_name(system: str) -> str:
    """The method of a system in records that do not say it: variants of Cosmos were named after it."""
    return "cosmos" if system.partition("-")[0] == "cosmos" else system


def _values(tree: Json, field: str) -> list[str]:
    """The names in all fields of a name, at any depth."""
    own = [tree[field]] if isinstance(tree.get(field), str) and tree[field] else []
    return own + [name for part in tree.values() if isinstance(part, dict) for name in _values(part, field)]


def sample_from_json(data: Any, where: str = "the line") -> SampleRecord:
    return read_as(SampleRecord, data, where, _AGAIN)


def timing_from_json(data: Any, where: str = "the line") -> TimingRecord:
    return read_as(TimingRecord, data, where, _AGAIN)


def likelihood_from_json(data: Any, where: str = "the line") -> LikelihoodRecord:
    return read_as(LikelihoodRecord, data, where, _AGAIN)


def score_from_json(data: Any, where: str = "the line") -> Score:
    return read_as(Score, data, where, _AGAIN)
