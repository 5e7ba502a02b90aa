"""What a history says, as plain values. Standard library only, so that reports can show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from baselines.titles import entry_name, setting_title, system_title
from benchmarks.metrics.core.metric_titles import metric_title
from benchmarks.records.schema import Direction

Kind = Literal["quality", "speed", "micro"]
Outcome = Literal["better", "worse", "changed"]

THROUGHPUT, LATENCY = "texts_per_second", "latency"


@dataclass(frozen=True, order=True)
class HistoryLine:
    """What is followed over time: a metric of one entry on one class of machines.

    Attributes:
        task, source, preset, setting: "" of micro-benchmarks, whose `system` is the name of the test.
        machine: the class of the machine in words; numbers of other classes are in other lines.
        device: the name of its processor, and how many cores it has where that is what computes.
        titles: what the newest record calls system, setting and metric, by those words; a line is the same without.
    """

    kind: Kind
    metric: str
    task: str
    source: str
    preset: str
    system: str
    setting: str
    machine: str
    device: str
    direction: Direction
    unit: str = ""
    titles: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def entry(self) -> str:
        """The system, with its setting where it has several."""
        return self.system if self.setting in ("", "default") else f"{self.system} {self.setting}"

    @property
    def title(self) -> str:
        """The same in words."""
        if self.kind == "micro":
            return self.system
        setting = self.titles.get("setting")  # which is "" where a system has nothing to set
        return entry_name(
            self.titles.get("system") or system_title(self.system, {}),
            setting_title(self.system, self.setting, {}) if setting is None else setting,
        )

    @property
    def metric_title(self) -> str:
        """The metric in words."""
        if self.kind == "quality":
            return metric_title(self.metric, self.titles.get("metric", ""))
        return self.metric.replace("_", " ")

    @property
    def asked(self) -> str:
        """The task with its source and preset, "" of micro-benchmarks."""
        return ", ".join(part for part in (self.task, self.source, self.preset) if part)


class HistoryPoint(NamedTuple):
    """All that one state of the code left in a series.

    Attributes:
        place: number of the code in the order of the whole history; the same in all series.
        commit: None where it is unknown.
        dirty: whether the code had changes that are in no commit.
        created: when the first of its records was begun, as that says.
        value: the mean over its seeds, of a speed the geometric mean.
        records: how many it is made of.
        doubtful: how many of them have a timing that its verdict calls not valid; none where the same code has a
            valid one of the seed.
        run: the folder of the run of its first record, or the file of a micro-benchmark.
    """

    place: int
    commit: str | None
    dirty: bool
    created: str
    value: float
    seeds: tuple[int, ...]
    records: int
    doubtful: int
    run: str

    @property
    def code(self) -> str:
        """The commit, short, and a plus where more was changed."""
        return (self.commit[:10] if self.commit else "unknown") + ("+" if self.dirty else "")


@dataclass(frozen=True)
class FoundChange:
    """A change of a series.

    Attributes:
        index: of the first point after it; `first` and `last` are the least and greatest that may be it, at 95 %.
        p: adjusted for the search, for the other parts of the series and for all other series.
        before, after: means of the stretches on either side, in the units of the metric.
        change, low, high: after - before, of speeds after / before - 1.
        outcome: by the direction of the metric; "changed" where neither is good.
        bisect: commands, one after the other; none where there are none, and `no_bisect` says why.
    """

    index: int
    first: int
    last: int
    p: float
    before: float
    after: float
    change: float
    low: float
    high: float
    outcome: Outcome
    bisect: tuple[str, ...] = ()
    no_bisect: str = ""


@dataclass(frozen=True)
class Series:
    """Points of one line that may be compared, in order.

    Attributes:
        asked: what must be alike: name of a part -> what it is; another series of the line differs in some of it.
        p: that the order means nothing, for this series alone; None where it is too short to tell.
    """

    line: HistoryLine
    points: tuple[HistoryPoint, ...]
    asked: Mapping[str, str] = field(repr=False)
    p: float | None = None
    changes: tuple[FoundChange, ...] = ()

    @property
    def judged(self) -> tuple[HistoryPoint, ...]:
        """The points that are asked for changes: all without a timing that is not valid. Changes count these."""
        return tuple(point for point in self.points if not point.doubtful)


@dataclass(frozen=True)
class Break:
    """Where a line goes on with numbers that may not be compared with those before."""

    line: HistoryLine
    place: int
    before: str  # the code of the last point before it
    after: str
    sentence: str


@dataclass(frozen=True)
class Counts:
    """What was read."""

    runs: int
    cells: int
    scores: int
    timings: int
    micro: int


@dataclass(frozen=True)
class History:
    """A whole history.

    Attributes:
        codes: the code at each place, as `HistoryPoint.code`.
        level: chance of false changes: of the series that are said to have changed, at most this share has not
            (Benjamini and Hochberg), and within one series any false change is as rare.
        notes: what was left out or doubted, a sentence each.
    """

    folder: str
    series: tuple[Series, ...]
    breaks: tuple[Break, ...]
    codes: tuple[str, ...]
    counts: Counts
    level: float
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[tuple[Series, FoundChange], ...]:
        """All changes: worse ones first, the surest of each first."""
        order = {"worse": 0, "changed": 1, "better": 2}
        every = [(series, change) for series in self.series for change in series.changes]
        return tuple(sorted(every, key=lambda pair: (order[pair[1].outcome], pair[1].p, pair[0].line)))
