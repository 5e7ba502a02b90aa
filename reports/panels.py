"""From tidy frames to what a table shows: entries (rows), their scores by column, their speed and their cost.

An *entry* is a system with a setting; cells that differ by their seed alone are one entry. A *panel* holds the entries
that were asked the same, on the same documents: only they are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from baselines.titles import weights_name
from benchmarks.records import dataframes, validity
from benchmarks.records.schema import Cell, Record, to_json
from benchmarks.records.validity import Validity
from reports.columns import ScoreColumn, score_columns
from reports.names import display_budget, display_setting, display_system, entry_name, short_names
from reports.quantities import Quantity, latency, made_together, mean, throughput

TRIVIAL = (
    "copy",
    "lead",
    "unigram",
    "retrieval",
    "null",
    "delete",
)  # floors, where the plan of a run does not name them
SCRATCH, ELSEWHERE = "trained from scratch", "on weights learnt elsewhere"  # tracks, never in one ranking
IMPORTED = "with texts from elsewhere"  # the third, of which nobody here knows how it was trained
TRACKS = (SCRATCH, ELSEWHERE, IMPORTED)


@dataclass(frozen=True)
class Entry:
    """One row: a system and its setting, its cells and what they cost."""

    key: str
    system: str
    setting: str
    trained: bool  # by somebody: False for floors and the reference, which have no networks
    records: tuple[Record, ...]  # one per seed, all done
    latency: Quantity  # milliseconds for one text at batch size 1, median
    throughput: Quantity  # texts per second
    sweep: Mapping[int, Quantity]  # the same for other numbers of texts at once
    calls: Quantity  # calls of the first network for one text, made alone where that was timed
    calls_together: float | None  # calls of the first network in the batch that a text was made in
    other_calls: Mapping[str, float]  # of the other networks, as `calls`
    trainable: Quantity
    frozen: Quantity
    train_seconds: Quantity
    train_flops: Quantity
    tags: tuple[str, ...] = ()  # what besides system and setting tells it from the others: preset, device ...
    title: str = ""  # what people call the system, such as "Cosmos, 16 latents"
    setting_title: str = ""  # and the setting, such as "20 steps"; "" where there is nothing to set
    short: str = ""  # its name in a figure, without what the entries of its method share

    @property
    def cell(self) -> Cell:
        return self.records[0].header.cell

    @property
    def latency_validity(self) -> Validity:
        """Whether its latency may be believed, with what is to be said of it by seed, where there are several."""
        return self._validity(lambda record: validity.LATENCY)

    @property
    def throughput_validity(self) -> Validity:
        """The same of its throughput."""
        return self._validity(lambda record: validity.throughput(record.header.batch_size))

    @property
    def latency_doubts(self) -> tuple[str, ...]:
        """Why its latency is not valid; empty where it is."""
        return self.latency_validity.reasons

    @property
    def throughput_doubts(self) -> tuple[str, ...]:
        """Why its throughput is not valid; empty where it is."""
        return self.throughput_validity.reasons

    @property
    def memory_doubts(self) -> tuple[str, ...]:
        """The same of its peak memory."""
        return self._validity(lambda record: validity.MEMORY).reasons

    @property
    def energy_doubts(self) -> tuple[str, ...]:
        """The same of its energy."""
        return self._validity(lambda record: validity.ENERGY).reasons

    def validity_at(self, size: int) -> Validity:
        """Whether its speed with so many texts at once may be believed."""
        if size in self.sweep:
            return self._validity(lambda record: validity.throughput(size))
        return self.latency_validity if size == 1 else self.throughput_validity

    def _validity(self, quantity: Callable[[Record], str]) -> Validity:
        """What is unknown is unknown of some seed at least."""
        doubts, unknown = [], dict[str, None]()
        for record in self.records:
            found = validity.validity(record.header, quantity(record))
            if record.timings:
                unknown |= dict.fromkeys(found.unknown)
            if record.timings and not found.valid:
                seed = f"seed {record.header.cell.seed}: " if len(self.records) > 1 else ""
                doubts.append(seed + ", ".join(found.reasons))
        return Validity(not doubts, tuple(doubts), tuple(unknown))

    @property
    def batch_size(self) -> int:
        """How many texts were really made at once, at least."""
        return min(record.header.batch_size for record in self.records)

    @property
    def method(self) -> str:
        """The method that its system is a variant of."""
        return self.records[0].header.method

    @property
    def weights(self) -> tuple[str, ...]:
        """The names, without their folders, of the weights it uses, frozen or to begin with, that were learnt from data
        that no budget here contains."""
        return tuple(weights_name(name) for name in self.records[0].header.external_weights)

    @property
    def imported(self) -> Mapping[str, Any]:
        """What is known of the file that its texts came from; nothing of texts that were made here."""
        return self.records[0].header.imported

    @property
    def elsewhere(self) -> bool:
        """Whether it uses weights that were learnt elsewhere."""
        return bool(self.weights)

    @property
    def first_stage(self) -> Mapping[str, Any] | None:
        """What its records tell of a first stage that was trained once, elsewhere, and is in no budget here."""
        training = self.records[0].header.training
        stage = None if training is None else training.notes.get("first_stage")
        return stage if isinstance(stage, Mapping) else None

    @property
    def track(self) -> str:
        """What it has in common with those that it is ranked with."""
        return IMPORTED if self.imported else ELSEWHERE if self.elsewhere else SCRATCH

    @property
    def name(self) -> str:
        """What the entry is called in a sentence."""
        return entry_name(self.title, self.setting_title, *self.tags)

    @property
    def detail(self) -> str:
        """What stands beside its title in a table."""
        seeds = (f"{len(self.records)} seeds",) if len(self.records) > 1 else ()
        return ", ".join(part for part in (self.setting_title, *self.tags, *seeds) if part)


@dataclass(frozen=True)
class Panel:
    """Entries that were asked the same, their scores, and the cells that have no result."""

    entries: tuple[Entry, ...]
    columns: tuple[ScoreColumn, ...]
    missing: tuple[Record, ...]  # failed, refused or unfinished
    headlines: tuple[str, ...] = ()  # metrics that sum the panel up, best first; all in their order if empty
    splits: tuple[str, ...] = ()  # sentences on metrics that have several signatures
    trivial: tuple[str, ...] = TRIVIAL  # the systems that are floors

    @property
    def trained(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.trained)

    @property
    def tracks(self) -> Mapping[str, tuple[Entry, ...]]:
        """The trained entries that are ranked together, by what they have in common."""
        tracks = {title: tuple(e for e in self.trained if e.track == title) for title in TRACKS}
        return {title: entries for title, entries in tracks.items() if entries}

    @property
    def for_scale(self) -> tuple[Entry, ...]:
        """What is not ranked, for it was not trained: floors, the reference, the oracle."""
        return tuple(entry for entry in self.entries if not entry.trained)

    @property
    def floors(self) -> tuple[Entry, ...]:
        """The trivial baselines: whoever does not beat them has learnt nothing."""
        return tuple(entry for entry in self.for_scale if entry.system in self.trivial)

    @property
    def seeds(self) -> tuple[int, ...]:
        """How many training seeds its trained entries have, each number once."""
        return tuple(sorted({len(entry.records) for entry in self.trained}))

    @property
    def headline(self) -> ScoreColumn | None:
        """The first of the headline metrics that ranks and that some trained entry (or else any) has a value in.

        Where none has, another stands in for it, but none that misleads alone.
        """
        ranked = [column for column in self.columns if column.direction != "none"]
        headed = [column for name in self.headlines for column in ranked if column.metric == name]
        ranked = headed + [column for column in ranked if column not in headed and not column.companions]
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


def panels(
    records: Sequence[Record], headlines: Sequence[str] = (), trivial: Sequence[str] = TRIVIAL
) -> tuple[Panel, ...]:
    """The panels of a run, in the order of their first cell.

    `headlines` names metrics, best first, `trivial` the systems that are floors.
    """
    by_panel: dict[str, list[Record]] = {}
    for record in records:
        by_panel.setdefault(dataframes.panel_key(record), []).append(record)
    return tuple(_panel(group, tuple(headlines), tuple(trivial)) for group in by_panel.values())


def _panel(records: Sequence[Record], headlines: tuple[str, ...], trivial: tuple[str, ...]) -> Panel:
    done = [record for record in records if record.header.status == "done"]
    by_entry: dict[str, list[Record]] = {}
    for record in done:
        by_entry.setdefault(dataframes.entry_key(record), []).append(record)
    cells, timings, calls = dataframes.cells(done), dataframes.timings(done), dataframes.calls(done)
    entries = [_entry(key, group, cells, timings, calls) for key, group in by_entry.items()]
    systems = list(dict.fromkeys(entry.system for entry in entries))  # settings of a system stand together
    entries.sort(key=lambda entry: systems.index(entry.system))
    columns, splits = score_columns(dataframes.scores(done))
    missing = tuple(record for record in records if record.header.status != "done")
    return Panel(tuple(_shortened(_tagged(entries))), columns, missing, headlines, splits, trivial)


def _entry(
    key: str, records: Sequence[Record], cells: pd.DataFrame, timings: pd.DataFrame, calls: pd.DataFrame
) -> Entry:
    ordered = tuple(sorted(records, key=lambda record: record.header.cell.seed))
    cell = ordered[0].header.cell
    own = cells[cells["entry"] == key]
    timed = timings[timings["entry"] == key]
    own_calls = calls[calls["entry"] == key]
    together = _means(own_calls[own_calls["how"] == "together"])
    alone = _means(own_calls[own_calls["how"] == "alone"]) or together
    first = str(next(iter(ordered[0].header.networks), ""))
    plain = not cell.setting_values and cell.setting in ("default", "")
    return Entry(
        key=key,
        system=cell.system,
        title=display_system(ordered[-1].header),
        setting_title=display_setting(ordered[-1].header),
        setting="" if plain else cell.setting,
        trained=bool(own["networks"].max() > 0 or ordered[0].header.imported),
        records=ordered,
        latency=latency(timed[timed["kind"] == "latency"]),
        throughput=made_together(ordered) if cell.devices else throughput(timed[timed["kind"] == "batch"]),
        sweep=_sweep(timed[timed["kind"] == "sweep"]),
        calls=Quantity(alone.get(first), n=len(ordered)),
        calls_together=together.get(first),
        other_calls={name: count for name, count in alone.items() if name != first},
        trainable=mean(own["trainable"]),
        frozen=mean(own["frozen"]),
        train_seconds=mean(own["train_seconds"]),
        train_flops=mean(own["train_flops"]),
    )


def _sweep(timed: pd.DataFrame) -> dict[int, Quantity]:
    """Texts per second by number of texts at once."""
    return {int(str(texts)): throughput(group) for texts, group in timed.groupby("texts")}


def _means(calls: pd.DataFrame) -> dict[str, float]:
    """Mean calls by network."""
    return {str(name): float(mean) for name, mean in calls.groupby("network", sort=False)["calls"].mean().items()}


def _tagged(entries: Sequence[Entry]) -> list[Entry]:
    """Add to each entry what tells it from the others: the parts of its cell that are not the same in all."""
    contestants = [entry for entry in entries if entry.trained and not entry.imported] or list(entries)
    told = {
        entry.key: {**to_json(entry.cell), "batch_size": entry.batch_size, "devices": max(1, len(entry.cell.devices))}
        for entry in entries
    }
    varying = [
        part
        for part in ("preset", "budget", "device", "devices", "dtype", "batch_size")
        if len({told[entry.key][part] for entry in contestants}) > 1
    ]
    templates = {"batch_size": "batch {}", "budget": "budget {}", "devices": "on {}"}
    budgets = {entry.key: display_budget(entry.cell.budget) for entry in entries}
    told = {key: {**parts, "budget": budgets[key]} for key, parts in told.items()}
    tags = {
        entry.key: [templates.get(part, "{}").format(told[entry.key][part]) for part in varying]
        if entry.trained and not entry.imported
        else []
        for entry in entries
    }
    for told_apart in (_identifiers, _configuration):  # by names, or else by the hash of what is too long for a label
        names = [(entry.title, entry.setting_title, *tags[entry.key]) for entry in entries]
        for name in [name for name, count in Counter(names).items() if count > 1]:
            alike = [entry for entry, other in zip(entries, names, strict=True) if other == name]
            if len({told_apart(entry) for entry in alike}) > 1:
                for entry in alike:
                    tags[entry.key].append(told_apart(entry))
    return [replace(entry, tags=tuple(tags[entry.key])) for entry in entries]


def _identifiers(entry: Entry) -> str:
    return f"{entry.system} {entry.setting}".strip()


def _configuration(entry: Entry) -> str:
    return f"configuration {entry.key[:6]}"


def _shortened(entries: Sequence[Entry]) -> list[Entry]:
    """With their names for figures."""
    short = short_names({entry.key: (entry.title, entry.setting_title, *entry.tags) for entry in entries})
    return [replace(entry, short=short[entry.key]) for entry in entries]
