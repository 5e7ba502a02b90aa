"""What a metric is: a definition, and one evaluator per source that can judge by it.

A metric is a frozen value, its evaluators are functions from a `MetricInput` to `Measured`. A metric that is a product
of others, text by text, only names them. Standard library only: names and availability are known before anything heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from baselines.contract import Document
from benchmarks.data.blank import blank as blank
from benchmarks.evaluators import Located
from benchmarks.metrics.core.cache import Vectors
from benchmarks.records.schema import Direction, Json, LikelihoodRecord, SampleRecord

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array, Interval, Statistic

ANYWHERE = "*"
"""The source name of an evaluator that needs no particular source."""

INSTALL = "pip install -c constraints.txt -e ."
INSTALL_EVAL = "pip install -c constraints.txt -e '.[eval]'"


Form = Literal["round trip", "as written"]
"""What of texts a metric sees: what every system of a run can write, or how they were written."""


class Normaliser(Protocol):
    """Takes from texts what no system of a run can write, so that no metric sees it (`cosmos.text.round_trip`)."""

    @property
    def form(self) -> str:
        """What signatures call texts that went through."""
        ...

    def __call__(self, texts: Sequence[str]) -> Sequence[str]:
        """Each text as it remains; one that went through comes out unchanged."""
        ...

    def __hash__(self) -> int:
        """Training texts that went through are kept under it."""
        ...


@dataclass(frozen=True)
class MetricInput:
    """The texts of one system: `texts[i]` answers `documents[i]`.

    Attributes:
        device: where models judge.
        seed: of intervals, which are bootstraps over texts where a metric says nothing else.
        training: the texts that the system learnt to write, None where nobody said; metrics of memorisation need them.
        normaliser: what texts, documents and training texts go through before a metric of the form "round trip" sees
            them; None: they are seen as they were written.
        samples: what the record says of each text besides; None where nobody kept it.
        likelihoods: how likely the system found the targets, one for each document; None where nobody kept it.
        no_likelihood: why the system gives none.
        models: role -> the model that takes it; those of the evaluator's `models`, each on this machine.
        vectors: what models said of texts before, on disk or in memory.
        memo: lives as long as one scoring and holds what several metrics share, under a name each evaluator chooses.
    """

    task: str
    source: str
    documents: Sequence[Document]
    texts: Sequence[str]
    device: str = "cpu"
    seed: int = 0
    training: Sequence[str] | None = None
    normaliser: Normaliser | None = None
    samples: Sequence[SampleRecord] | None = None
    likelihoods: Sequence[LikelihoodRecord] | None = None
    no_likelihood: str | None = None
    models: Mapping[str, Located] = field(default_factory=dict)
    vectors: Vectors = field(default_factory=Vectors)
    memo: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What an evaluator found.

    Either the score of each text (None where it has none), whose mean is the metric; or, for a metric of the whole
    corpus, `total` with `rows` of shape (n, k) and the `statistic` of their sums, from which intervals are drawn, or
    with an `interval` of the evaluator's own; `n` of the texts entered, all of them if it is None.
    `options` and `weights` go into the signature; weights of models that take a role go there without.

    An evaluator with an interval of its own also says how the total varies, so that two systems can be compared text
    by text: `left_out` is the total without each text (None for a text that does not count); or `groups` are its
    values on disjoint groups of the documents, chosen by their ids alone, and `repeats` those by its random seeds.
    `places` are those of the texts that `rows` are of, all of them in order if it is None.
    """

    values: tuple[float | None, ...] | None = None
    total: float | None = None
    n: int | None = None
    rows: Array | None = None
    statistic: Statistic | None = None
    interval: Interval | None = None
    places: Sequence[int] | None = None
    left_out: tuple[float | None, ...] | None = None
    groups: tuple[float, ...] = ()
    repeats: tuple[float, ...] = ()
    options: Json = field(default_factory=dict)
    weights: str | None = None


class Absent(Exception):  # noqa: N818, it says that there is no score, which is no fault
    """There is no score; the message is the reason, beginning with one of the words that `Score` allows."""


@dataclass(frozen=True)
class Evaluator:
    """Who judges.

    Attributes:
        name: a function that gives the name and version, for example "rouge-score 0.1.2".
        measure: judges a batch; raises `Absent` where there is nothing to judge.
        modules: what must be importable; `command` adds them.
        models: the roles whose models judge (`benchmarks.evaluators.ROLES`); each must be on this machine.
        training: whether the texts learnt from are needed.
        likelihoods: whether the likelihoods that the system gave are judged, which then count in what is kept.
        samples: whether what the record says of each text is judged, which then counts likewise.
    """

    name: Callable[[], str]
    measure: Callable[[MetricInput], Measured]
    modules: tuple[str, ...] = ()
    command: str = INSTALL
    models: tuple[str, ...] = ()
    training: bool = False
    likelihoods: bool = False
    samples: bool = False


@dataclass(frozen=True)
class Metric:
    """One definition of quality.

    Attributes:
        title: what people call it, such as "ROUGE-L"; the built-in ones are in `metric_titles`, so that reports of any
            record know them. Without one its name is made readable.
        summary: what it says, its range, and what blank texts score, in one sentence.
        version: of the definition; changed with every change of a value it gives.
        evaluators: source name, or `ANYWHERE`, -> evaluator.
        absent: the reason on sources that have none; begins with "not run:" or "missing evaluator:".
        parts: names of the metrics this one multiplies, text by text; then it has no evaluator of its own.
        companions: metrics without which this one misleads, so that it is never shown alone.
        form: of all texts that it sees; "as written" is for what asks how a text was written, letter case and all.
    """

    name: str
    summary: str
    direction: Direction
    version: str = "1"
    evaluators: Mapping[str, Evaluator] = field(default_factory=lambda: MappingProxyType({}))
    absent: str = ""
    parts: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    form: Form = "round trip"
    title: str = ""

    def evaluator(self, source: str) -> Evaluator | None:
        """Who judges texts of this source, if anyone does."""
        return self.evaluators.get(source) or self.evaluators.get(ANYWHERE)


@dataclass(frozen=True)
class Availability:
    """Whether a metric works here on a source: who would judge, and what to do where nobody can."""

    metric: str
    evaluator: str
    works: bool
    hint: str
