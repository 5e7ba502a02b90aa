"""From tidy frames to what a table shows: entries (rows), their scores by column, their speed and their cost.

An *entry* is a system with a setting; cells that differ by their seed alone are one entry. A *panel* holds the entries
that were asked the same, on the same documents: only they are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from benchmarks.records import Cell, Direction, Record, Signature
from benchmarks.stats import ratio_interval
from reports import frames

LEVEL = 0.95
FEWEST_BATCHES = 3  # fewer timed batches say too little of their spread for an interval


@dataclass(frozen=True)
class Quantity:
    """A number with its interval, or None with the reason; `n` observations are behind it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class EntryScore:
    """One entry's score in one column; over several seeds the mean of their values and of their interval limits."""

    quantity: Quantity
    total: int
    seeds: tuple[float, ...]  # the value of each seed
    per_text: Mapping[str, float]  # mean over seeds by document; empty for corpus metrics


@dataclass(frozen=True)
class ScoreColumn:
    """One metric under one signature. `unlike` says what sets it apart where a metric has several signatures."""

    metric: str
    title: str
    direction: Direction
    signature: Signature
    scores: Mapping[str, EntryScore]  # by entry
    unlike: str = ""


@dataclass(frozen=True)
class Entry:
    """One row: a system and its setting, its cells and what they cost."""

    key: str
    system: str
    setting: str
    trained: bool  # False for floors and the reference, which have no networks
    records: tuple[Record, ...]  # one per seed, all done
    latency: Quantity  # milliseconds for one text at batch size 1, median
    throughput: Quantity  # texts per second
    calls: Quantity  # calls of the first network per text
    other_calls: Mapping[str, float]  # of the other networks, per text
    trainable: int
    frozen: int
    train_seconds: Quantity
    train_flops: Quantity
    doubts: tuple[str, ...]  # why its timing is not valid; empty where it is
    tags: tuple[str, ...] = ()  # what besides system and setting tells it from the others: preset, device ...

    @property
    def cell(self) -> Cell:
        return self.records[0].header.cell

    @property
    def name(self) -> str:
        """What the entry is called in a sentence."""
        details = ", ".join(part for part in (self.setting, *self.tags) if part)
        return f"{self.system} ({details})" if details else self.system


@dataclass(frozen=True)
class Panel:
    """Entries that were asked the same, their scores, and the cells that have no result."""

    entries: tuple[Entry, ...]
    columns: tuple[ScoreColumn, ...]
    missing: tuple[Record, ...]  # failed, refused or unfinished
    splits: tuple[str, ...] = field(default=())  # sentences on metrics that have several signatures

    @property
    def trained(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.trained)

    @property
    def floors(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if not entry.trained)

    @property
    def headline(self) -> ScoreColumn | None:
        """The first column in the task's order that ranks and that some trained entry (or else any) has a value in."""
        ranked = [column for column in self.columns if column.direction != "none"]
        for entries in (self.trained, self.entries):
            for column in ranked:
                if any(_value(column, entry) is not None for entry in entries):
                    return column
        return None

    @property
    def cell(self) -> Cell:
        """Any cell of the panel: what was asked is the same in all."""
        return (self.entries[0].records if self.entries else self.missing)[0].header.cell


def _value(column: ScoreColumn, entry: Entry) -> float | None:
    score = column.scores.get(entry.key)
    return None if score is None else score.quantity.value


def panels(records: Sequence[Record]) -> tuple[Panel, ...]:
    """The panels of a run, in the order of their first cell."""
    by_panel: dict[str, list[Record]] = {}
    for record in records:
        by_panel.setdefault(frames.panel_key(record), []).append(record)
    return tuple(_panel(group) for group in by_panel.values())


def _panel(records: Sequence[Record]) -> Panel:
    done = [record for record in records if record.header.status == "done"]
    by_entry: dict[str, list[Record]] = {}
    for record in done:
        by_entry.setdefault(frames.entry_key(record), []).append(record)
    cells, timings, samples = frames.cells(done), frames.timings(done), frames.samples(done)
    entries = [_entry(key, group, cells, timings, samples) for key, group in by_entry.items()]
    systems = list(dict.fromkeys(entry.system for entry in entries))  # settings of a system stand together
    entries.sort(key=lambda entry: systems.index(entry.system))
    columns, splits = score_columns(frames.scores(done))
    missing = tuple(record for record in records if record.header.status != "done")
    return Panel(tuple(_tagged(entries)), columns, missing, splits)


def _entry(
    key: str, records: Sequence[Record], cells: pd.DataFrame, timings: pd.DataFrame, samples: pd.DataFrame
) -> Entry:
    ordered = tuple(sorted(records, key=lambda record: record.header.cell.seed))
    cell = ordered[0].header.cell
    own = cells[cells["entry"] == key]
    timed = timings[timings["entry"] == key]
    calls = samples[samples["entry"] == key].groupby("network", sort=False)["calls"].mean()
    first = next(iter(ordered[0].header.networks), None)
    plain = not cell.setting_values and cell.setting in ("default", "")
    return Entry(
        key=key,
        system=cell.system,
        setting="" if plain else cell.setting,
        trained=bool(own["networks"].max() > 0),
        records=ordered,
        latency=latency(timed[timed["kind"] == "latency"]),
        throughput=throughput(timed[timed["kind"] == "batch"]),
        calls=Quantity(float(calls[first]) if first in calls.index else None, n=len(ordered)),
        other_calls={str(name): float(value) for name, value in calls.items() if name != first},
        trainable=int(own["trainable"].max()),
        frozen=int(own["frozen"].max()),
        train_seconds=_mean(own["train_seconds"]),
        train_flops=_mean(own["train_flops"]),
        doubts=_doubts(ordered),
    )


def latency(timed: pd.DataFrame) -> Quantity:
    """The median milliseconds of one text, with the distribution-free interval of a median.

    The interval runs between the order statistics k and n + 1 - k, k the largest with
    2 P(Binomial(n, 1/2) < k) <= 1 - level (David and Nagaraja, Order Statistics, section 7.1); none below six texts.
    """
    milliseconds = sorted(1000.0 * timed["seconds"])
    n = len(milliseconds)
    if n == 0:
        return Quantity(None, reason="not run: no single text was timed")
    middle = float(pd.Series(milliseconds).median())
    below, rank = 0.0, 0
    while True:
        below += 2 * math.comb(n, rank) / 2**n
        if below > 1 - LEVEL:
            break
        rank += 1
    if rank == 0:
        return Quantity(middle, n=n)
    return Quantity(middle, milliseconds[rank - 1], milliseconds[n - rank], n)


def throughput(timed: pd.DataFrame) -> Quantity:
    """Texts per second over all timed batches, with the bootstrap interval over batches."""
    n = len(timed)
    if n == 0 or not float(timed["seconds"].sum()) > 0:
        return Quantity(None, reason="not run: no batch was timed")
    value = float(timed["texts"].sum()) / float(timed["seconds"].sum())
    if n < FEWEST_BATCHES:
        return Quantity(value, n=n)
    limits = ratio_interval(timed["texts"].to_numpy(float), timed["seconds"].to_numpy(float), level=LEVEL)
    return Quantity(value, limits.low, limits.high, n)


def _mean(values: pd.Series[float]) -> Quantity:
    known = values.dropna().astype(float)
    return Quantity(float(known.mean()), n=len(known)) if len(known) else Quantity(None)


def _doubts(records: Sequence[Record]) -> tuple[str, ...]:
    """Why the timing of an entry is not valid, once each; empty where every cell's verdict is that it is."""
    doubts: dict[str, None] = {}
    for record in records:
        verdict = record.header.verdict
        if not record.timings or verdict.get("valid") is True:
            continue
        for reason in verdict.get("reasons") or ["no verdict was given"]:
            doubts[str(reason)] = None
    return tuple(doubts)


def _tagged(entries: Sequence[Entry]) -> list[Entry]:
    """Add to each entry what tells it from the others: the parts of its cell that are not the same in all."""
    contestants = [entry for entry in entries if entry.trained] or list(entries)
    varying = [
        part
        for part in ("preset", "budget", "device", "dtype", "batch_size")
        if len({getattr(entry.cell, part) for entry in contestants}) > 1
    ]
    shown = {"batch_size": "batch {}", "budget": "budget {}"}
    tags = {
        entry.key: [shown.get(part, "{}").format(getattr(entry.cell, part)) for part in varying if entry.trained]
        for entry in entries
    }
    names = [(entry.system, entry.setting, *tags[entry.key]) for entry in entries]
    for entry, name in zip(entries, names, strict=True):
        if names.count(name) > 1:  # another recipe or other values of the setting, too long for a label
            tags[entry.key].append(f"configuration {entry.key[:6]}")
    return [Entry(**{**vars(entry), "tags": tuple(tags[entry.key])}) for entry in entries]


def score_columns(scores: pd.DataFrame) -> tuple[tuple[ScoreColumn, ...], tuple[str, ...]]:
    """One column per metric and signature in the order of the records, and sentences on metrics judged unlike.

    A score that is null judged nothing, so it splits no column: it stands in the first one of its metric.
    """
    columns: list[ScoreColumn] = []
    splits: list[str] = []
    order = scores.groupby("metric", sort=False)["position"].min().sort_values(kind="stable")
    for metric in order.index:
        rows = scores[scores["metric"] == metric]
        judged = rows[rows["value"].notna()]
        signatures: list[Signature] = list({str(s): s for s in (judged if len(judged) else rows)["signature"]}.values())
        if len(signatures) > 1:
            splits.append(_difference(str(metric), signatures))
        for number, signature in enumerate(signatures):
            same = rows["signature"].map(str) == str(signature)
            here = rows[same | (rows["value"].isna() & (number == 0))]
            letter = f" ({chr(ord('a') + number)})" if len(signatures) > 1 else ""
            columns.append(
                ScoreColumn(
                    metric=str(metric),
                    title=f"{metric}{letter}",
                    direction=here["direction"].iloc[0],
                    signature=signature,
                    scores={str(key): _entry_score(group) for key, group in here.groupby("entry", sort=False)},
                    unlike=f"judged by {signature}" if letter else "",
                )
            )
    return tuple(columns), tuple(splits)


def _entry_score(rows: pd.DataFrame) -> EntryScore:
    judged = rows[rows["value"].notna()].sort_values("seed")
    if not len(judged):
        reason = str(rows["reason"].iloc[0] or "failed: no reason was recorded")
        return EntryScore(Quantity(None, reason=reason), int(rows["total"].max()), (), {})
    bounded = bool(judged["low"].notna().all() and judged["high"].notna().all())
    texts: dict[str, list[float]] = {}
    for per_text in judged["per_text"]:
        for key, value in per_text.items():
            texts.setdefault(key, []).append(value)
    unscored = rows[rows["value"].isna()]["reason"].dropna()
    return EntryScore(
        Quantity(
            float(judged["value"].mean()),
            float(judged["low"].mean()) if bounded else None,
            float(judged["high"].mean()) if bounded else None,
            int(judged["n"].min()),
            reason=f"{len(unscored)} of {len(rows)} seeds without a score: {unscored.iloc[0]}"
            if len(unscored)
            else None,
        ),
        int(judged["total"].max()),
        tuple(float(value) for value in judged["value"]),
        {key: math.fsum(values) / len(values) for key, values in texts.items()},
    )


def _difference(metric: str, signatures: Sequence[Signature]) -> str:
    """Which parts of the signatures of one metric are unlike, and how."""
    parts = []
    for part in ("version", "evaluator", "options", "weights"):
        values = list(dict.fromkeys(str(getattr(signature, part)) for signature in signatures))
        if len(values) > 1:
            parts.append(f"{part} " + " against ".join(f"“{value}”" for value in values))
    return f"{metric} was judged in {len(signatures)} ways that must not be compared, by column: {'; '.join(parts)}."
