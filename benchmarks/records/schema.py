"""The schema of what one cell leaves on disk. Standard library only, so that anything can read a record.

A cell's folder holds

    header.json     one `Header`: what was run, on what, and how it ended; replaced atomically
    samples.jsonl   one `SampleRecord` a line, in the order of the requests; append-only
    timings.jsonl   one `TimingRecord` a line; append-only
    likelihoods.jsonl  one `LikelihoodRecord` a line, in the order of the test documents; written as a whole, and only
                    where the system gives likelihoods
    scores.jsonl    one `Score` a line; replaced atomically by each scoring

and the run's folder holds `plan.json`, the test documents under `documents/`, the texts learnt from under `learnt/`,
the checkpoints under `checkpoints/`, the cells under `cells/` and the report under `report/`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from baselines.contract import UserError

SCHEMA = 4  # 2: what the source read stands in the header; 3: so does what a system declares of itself;
# 4: and why it gives no likelihood
_SHOWN = 8  # digits of a hash that are shown

Status = Literal["started", "done", "failed", "refused"]
Direction = Literal["higher", "lower", "none"]
Json = dict[str, Any]


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
        setting: the name of the setting; `setting_values` what it says, all of it, after `--set`.
        limit: how many test documents, or None for all.
        batch_size: how many texts are generated at once when throughput is timed.
        seed: everything random in training and generation is derived from it.
        sweep: other numbers of texts at once whose speed is measured too.
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
    limit: int | None
    batch_size: int
    device: str
    dtype: str
    seed: int
    sweep: tuple[int, ...] = ()

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
    )

    @property
    def id(self) -> str:
        return identity(dataclasses.asdict(self))

    @property
    def checkpoint_id(self) -> str:
        """The hash of the training inputs alone, so that settings share a checkpoint."""
        return identity({name: getattr(self, name) for name in self._TRAINING})


@dataclass(frozen=True)
class Network:
    """Parameters of one network of a system."""

    parameters: int
    trainable: int


@dataclass(frozen=True)
class Training:
    """What `System.fit` reported."""

    steps: int
    seconds: float
    flops: float
    validation_loss: float | None
    notes: Json


@dataclass(frozen=True)
class Header:
    """What was run, on what, and how it ended."""

    cell: Cell
    status: Status
    reason: str | None = None
    created: str = ""  # UTC, ISO 8601
    finished: str | None = None
    command: str = ""  # the command that makes this cell again
    method: str = ""  # which the system is a variant of, as its class says: "cosmos" of `cosmos-8`
    no_likelihood: str | None = None  # why the system gives none, as its class says
    external_weights: tuple[str, ...] = ()  # names of weights learnt elsewhere that the system declares, none: scratch
    commit: str | None = None
    dirty: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    device: Json = field(default_factory=dict)  # name, cores or memory, driver, clocks where known
    content: Json = field(default_factory=dict)  # what the source read: names, revision, hashes, where it says them
    documents: Mapping[str, Json] = field(default_factory=dict)  # split -> {"count": n, "sha256": hash}
    training: Training | None = None
    trained_with: Json = field(default_factory=dict)  # commit, dirty flag, packages and device of the training
    earlier: tuple[Json, ...] = ()  # the same of interrupted attempts that left texts, where it was not as now
    networks: Mapping[str, Network] = field(default_factory=dict)  # the first is the one whose calls are the NFE
    parameters: Network | None = None  # of all networks together, each parameter counted once
    verdict: Json = field(default_factory=dict)  # of the timing: {"valid": bool, "reasons": [...], ...}
    schema: int = SCHEMA

    @property
    def batch_size(self) -> int:
        """How many texts were really made at once: fewer than asked for where memory did not hold as many."""
        size: int = self.verdict.get("batch_size", self.cell.batch_size)
        return size


@dataclass(frozen=True)
class SampleRecord:
    """One generated text. Holds nothing that could differ between two runs of the same cell."""

    id: str
    text: str
    tokens: int
    finished: bool
    seed: int
    calls: Mapping[str, int]  # network -> forward calls of the batch the text was generated in


@dataclass(frozen=True)
class LikelihoodRecord:
    """How likely the system finds the target of one test document; see `baselines.contract.Likelihood`."""

    id: str
    nats: float | None
    tokens: int
    kind: Literal["exact", "bound"]
    draws: int
    reason: str | None


@dataclass(frozen=True)
class TimingRecord:
    """One timed call of `System.generate`.

    Kinds: `batch` made the samples that are scored; `latency` made single texts, which equal the scored ones or the
    verdict says so; `sweep` made other numbers of texts at once, which equal the scored ones likewise; `warmup` came
    before any of these and counts for nothing.
    """

    kind: Literal["warmup", "batch", "latency", "sweep"]
    index: int
    ids: tuple[str, ...]
    seconds: float
    calls: Mapping[str, int]


@dataclass(frozen=True)
class Signature:
    """Who judged: two scores may be compared only if their signatures are equal."""

    metric: str
    version: str  # of our definition
    evaluator: str  # for example "rouge-score 0.1.2" or "world grammar 1"
    options: Json = field(default_factory=dict)
    weights: str | None = None  # hash of a model's weights, where a model judges

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
    metric's definition in a sentence, `companions` are the metrics without which it misleads.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None  # of the interval, for example 0.95
    n: int
    total: int
    direction: Direction
    signature: Signature
    reason: str | None = None
    values: tuple[float | None, ...] | None = None
    summary: str = ""
    companions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """Everything one cell left on disk."""

    header: Header
    samples: tuple[SampleRecord, ...]
    timings: tuple[TimingRecord, ...]
    scores: tuple[Score, ...]


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
    try:
        if data["schema"] < 3:
            data = {**data, **_undeclared(data)}
        data = {**data, "schema": SCHEMA}
        return Header(
            **{
                **data,
                "external_weights": tuple(data["external_weights"]),
                "cell": Cell(**{**data["cell"], "sweep": tuple(data["cell"].get("sweep", ()))}),
                "training": None if data["training"] is None else Training(**data["training"]),
                "earlier": tuple(data.get("earlier", ())),
                "networks": {name: Network(**network) for name, network in data["networks"].items()},
                "parameters": Network(**data["parameters"]) if data.get("parameters") else None,
            }
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{where} is damaged ({error}); delete its folder and run again.") from error


def _undeclared(data: Json) -> Json:
    """What headers before schema 3 say of a system's method and of the weights learnt elsewhere that it uses.

    Then Cosmos was the system of that name and those whose names began with it and a hyphen; a recipe named a frozen
    encoder in a field `text_encoder` and a network to begin with in a field `pretrained`, at any depth; and whoever
    generated with frozen parameters had them from elsewhere.
    """
    recipe, total = data["cell"]["recipe"], data.get("parameters")
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


def sample_from_json(data: Json) -> SampleRecord:
    return SampleRecord(**data)


def likelihood_from_json(data: Json) -> LikelihoodRecord:
    return LikelihoodRecord(**data)


def timing_from_json(data: Json) -> TimingRecord:
    return TimingRecord(**{**data, "ids": tuple(data["ids"])})


def score_from_json(data: Json) -> Score:
    values = data["values"]
    return Score(
        **{
            **data,
            "signature": Signature(**data["signature"]),
            "values": None if values is None else tuple(values),
            "companions": tuple(data.get("companions", ())),
        }
    )
