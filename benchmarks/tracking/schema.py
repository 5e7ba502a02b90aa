"""What a comparison says, as plain values: what `compare --json` writes and what reports show. Imports no torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.metrics.core.metric_titles import metric_title
from benchmarks.records.schema import Direction, Json
from benchmarks.stats import ComparisonOutcome
from benchmarks.stats.evidence import ChangeEvidence

SCHEMA = 1

Kind = Literal["quality", "calls", "speed"]
Scale = Literal["difference", "ratio"]


@dataclass(frozen=True)
class ComparedSide:
    """One of the two sides: as the user wrote it, and what was found there."""

    text: str
    folders: tuple[str, ...]
    commits: tuple[str, ...]
    dirty: bool  # whether some of its code had changes that were in no commit
    machines: tuple[str, ...]
    cells: int


@dataclass(frozen=True)
class ComparedQuantity:
    """One row: a quantity of one entry on both sides. What is said is of B, against A.

    Attributes:
        kind: "calls" are network calls for a text, which are counted and depend on no machine.
        size: texts at once, of a speed.
        a, b: the value on each side; None where there is none.
        scale: whether `change` is B - A or B / A.
        change, low, high: with its interval at `level`, which is adjusted for all tests that are made together.
        p, p_raw: two-sided, adjusted likewise and not.
        outcome: of B, at the 5 % level; "cannot tell" too where neither direction is good, which `moved` then says.
        moved: "up" or "down" where the value is significantly another, "" otherwise.
        detectable: the smallest true change that is shown four times in five, on the scale of `change`; None where
            nothing is known of the spread.
        n: texts that both sides have, or units of time (`covers` says which).
        covers: what the level is about: "texts", "texts and seeds", "processes", "rounds", "calls".
        reason: why nothing can be told, where no test could be made.
        evidence: from which limits at other levels can be had; not part of what is written.
        declared: what the records call a metric, "" where they are older than such titles.
    """

    quantity: str
    kind: Kind
    unit: str
    direction: Direction
    size: int | None
    a: float | None
    b: float | None
    scale: Scale
    change: float | None
    low: float | None
    high: float | None
    level: float | None
    p: float | None
    p_raw: float | None
    outcome: ComparisonOutcome
    moved: Literal["up", "down", ""]
    detectable: float | None
    n: int
    covers: str
    reason: str | None = None
    notes: tuple[str, ...] = ()
    evidence: ChangeEvidence | None = field(default=None, repr=False, compare=False)
    declared: str = ""

    @property
    def title(self) -> str:
        """The quantity with the number of texts at once, where several were timed."""
        return self.quantity if self.size is None else f"{self.quantity}@{self.size}"

    @property
    def shown(self) -> str:
        """The same in words."""
        if self.kind == "quality":
            return metric_title(self.quantity, self.declared)
        words = self.quantity.replace("_", " ")
        return words if self.size is None else f"{words}, {self.size} at once"


@dataclass(frozen=True)
class ComparedEntry:
    """A system with a setting on both sides.

    Attributes:
        name: its system and setting, or both where they differ; `title` the same in words.
        cells_a, cells_b: the ids of its cells, one for each seed.
        differs: in what the two differ besides, such as "commit “1a2b” against “3c4d”".
        refused: what of it is not compared, and why; the quantities named there are not among `quantities`.
        notes: of the entry as a whole.
    """

    name: str
    task: str
    source: str
    documents: str  # the hash of the test documents
    cells_a: tuple[str, ...]
    cells_b: tuple[str, ...]
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    differs: tuple[str, ...]
    refused: tuple[str, ...]
    quantities: tuple[ComparedQuantity, ...]
    notes: tuple[str, ...] = ()
    title: str = ""

    @property
    def shown(self) -> str:
        """What it is called where people read of it."""
        return self.title or self.name

    @property
    def panel(self) -> str:
        """What was asked; entries of one panel share a table."""
        return f"{self.task} on {self.source}, documents {self.documents[:8]}"


@dataclass(frozen=True)
class RunComparison:
    """Side B against side A.

    Attributes:
        refused: entries that cannot be compared, or stand on one side alone, each with its reason.
        correction: how many tests in how many tables, and how they are corrected, in a sentence.
        notes: of all.
    """

    a: ComparedSide
    b: ComparedSide
    entries: tuple[ComparedEntry, ...]
    refused: tuple[str, ...]
    correction: str
    notes: tuple[str, ...] = ()

    @property
    def outcomes(self) -> dict[str, int]:
        """How many quantities came out better, worse, and neither."""
        counts = {"better": 0, "worse": 0, "cannot tell": 0}
        for entry in self.entries:
            for row in entry.quantities:
                counts[row.outcome] += 1
        return counts


def to_json(comparison: RunComparison) -> Json:
    """A comparison as `--json` writes it; numbers that are not finite are null."""
    return {"schema": SCHEMA, **_plain(comparison), "outcomes": comparison.outcomes}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        names = (each.name for each in dataclasses.fields(value) if each.name != "evidence")
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
