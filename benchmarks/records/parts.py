"""Parts of records that are JSON objects: as much of each as is read by name; more may stand in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from cosmos.io.typed_json import Amount, AnyText, Count

Json = dict[str, Any]


class DocumentsDigest(TypedDict):
    """How many documents, and what they hash to."""

    count: Count
    sha256: str


class _SharedTokenizer(TypedDict):
    """The tokenizer that a run's systems share."""

    name: str
    sha256: str


class TokenizerDescription(_SharedTokenizer, total=False):
    """The tokenizer that a run's systems share, and the one that a pretrained system brings besides."""

    own: str


class MachineDescription(TypedDict, total=False):
    """As much of a machine as is read by name."""

    name: str | None
    cores: int | None
    memory_bytes: Count | None


class MadeWith(TypedDict):
    """Code and machine at work, as `environment.made_with` says."""

    commit: str | None
    dirty: bool | None
    packages: dict[str, str]
    device: MachineDescription


class NotMade(TypedDict):
    """An empty object: nothing was made yet."""


class ImportedTexts(TypedDict):
    """The file that texts from elsewhere were read from, and how many seconds all of them took, as was said."""

    file: AnyText
    sha256: str
    seconds: Amount | None


class QuantityVerdict(TypedDict, total=False):
    """Whether one quantity may be believed, how many calls it rests on, and what could not be looked at."""

    valid: bool
    reasons: list[AnyText]
    calls: Count
    unknown: list[AnyText]


class QuantityNoise(TypedDict):
    """The smallest ratio that so many processes and rounds find."""

    ratio: Amount
    level: Amount
    power: Amount
    processes: Count
    rounds: Count


class NoiseFloorSummary(TypedDict, total=False):
    """What the machine's noise floor was, where it was measured."""

    hardware: str
    made: str
    quantities: dict[str, QuantityNoise]


class TimedCall(TypedDict):
    """Which line of timings.jsonl is meant, and what is said of it."""

    kind: str
    index: Count
    reason: AnyText


class TimingVerdict(TypedDict, total=False):
    """As much of a verdict as is read by name."""

    valid: bool
    reasons: list[AnyText]
    quantities: dict[str, Annotated[Json, QuantityVerdict]]
    stalled: list[TimedCall]
    batch_size: Count
    singles: Count
    singles_equal: Count


class NetworkCount(TypedDict):
    """Parameters of a network."""

    parameters: Count
    trainable: Count


class UndeclaredCell(TypedDict):
    """As much of a cell as says what its system declares now."""

    system: str
    recipe: Json


class UndeclaredHeader(TypedDict):
    """As much of a header before schema 3 as says what its system declares now."""

    cell: UndeclaredCell
    parameters: NetworkCount | None


class DeclaredHeader(TypedDict):
    """What a header must say, and nothing is taken for granted."""

    external_weights: list[str]


class _TaskInPlan(TypedDict, total=False):
    """As much of a task as is read by name."""

    name: str
    version: str
    title: str
    note: str
    metrics: list[str]
    headline: list[str]


class PlannedSystem(TypedDict):
    """What a plan says of one system."""

    recipe: Json
    settings: dict[str, Json]


class _PlanChoices(TypedDict):
    """What every plan says."""

    task: Annotated[Json, _TaskInPlan]
    source: str
    preset: str
    data: Json
    limit: Count | None
    batch_size: Count
    device: str
    dtype: str
    systems: dict[str, PlannedSystem]
    cells: list[str]


class StoredPlan(_PlanChoices, total=False):
    """What `plan.json` says; earlier plans say less."""

    commands: list[AnyText]
    sweep: list[int] | Literal["best"]
    contents: dict[str, str]
    tokenizer: str | None
    evaluators: dict[str, str]
