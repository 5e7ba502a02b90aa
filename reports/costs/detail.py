"""Speed in detail: how latencies are spread, what is made a second in other units, and where the time goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.records import dataframes
from benchmarks.records.schema import Record
from benchmarks.stats.order_statistics import fewest
from reports.names import display_system
from reports.numbers import NOTHING, column_decimals, fixed, percent
from reports.panels import Entry, Panel
from reports.quantities import Quantity, tail_latency, throughput
from reports.table import Column, Table, TableCell
from reports.tables import grouped, speed_cells

SHARES = {"Half of texts within": 0.5, "90 %": 0.9, "99 %": 0.99}
PHASES = {
    "source_encoding": "Source",
    "calls": "Calls",
    "decoder": "Decoder",
    "sampling": "Sampling",
    "detokenise": "Detokenising",
}
COLD = {"load": "Load", "first_call": "First call", "compile": "of it compiling", "record": "of it recording"}


def table(panel: Panel, suffix: str = "") -> Table | None:
    """None where no record says what was kept, as before schema 6."""
    records = [record for entry in panel.trained for record in entry.records]
    if not any(timing.kept for record in records for timing in record.timings):
        return None
    timed = dataframes.timings(records)
    columns: list[Column] = []
    cells: list[Mapping[str, TableCell]] = []

    def add(column: Column, values: Mapping[str, TableCell]) -> None:
        if any(cell.value is not None for cell in values.values()):
            columns.append(column)
            cells.append(values)

    def of(entry: Entry, kind: str, measure: Callable[..., Quantity], how: float | str) -> Quantity:
        rows = timed[(timed["entry"] == entry.key) & (timed["kind"] == kind)]
        return measure(rows, how)

    for title, share in SHARES.items():
        column = Column(title, "ms", "lower", "Latency of one text", f"latency-{100 * share:.0f}")
        quantity = partial(of, kind="latency", measure=tail_latency, how=share)
        add(column, speed_cells(panel, column, quantity, lambda entry: entry.latency_validity))
    for unit, title in (("words", "Words kept"), ("tokens", "Tokens kept")):
        column = Column(title, f"{unit}/s", "higher", "Throughput", unit)
        quantity = partial(of, kind="batch", measure=throughput, how=unit)
        add(column, speed_cells(panel, column, quantity, lambda entry: entry.throughput_validity))
    for name, title in PHASES.items():
        add(
            Column(title, "% of a batch", "none", "Where the time goes", f"share-{name}"),
            {entry.key: _phase(entry, name) for entry in panel.entries},
        )
    for name, title in COLD.items():
        add(Column(title, "s", "none", "Cold start", f"cold-{name}"), _cold(panel, name))
    found = Table(f"speed{suffix}", "Speed in detail", tuple(columns), grouped(panel, cells))
    blocks = tuple(block for block in found.blocks if not block.for_scale)
    return replace(found, blocks=blocks, remarks=_remarks(records))


def _phase(entry: Entry, name: str) -> TableCell:
    """The share of a phase in a batch that was looked at, all seeds together."""
    phases = [t.phases for record in entry.records for t in record.timings if t.kind == "phases"]
    whole = sum(sum(seconds.values()) for seconds in phases)
    if not whole:
        return TableCell(None, NOTHING)
    share = sum(seconds.get(name, 0.0) for seconds in phases) / whole
    return TableCell(share, percent(share).removesuffix(" %"))


def _cold(panel: Panel, name: str) -> dict[str, TableCell]:
    """Seconds of a part of the cold start, by entry."""
    told = {
        entry.key: [record.header.cold_start[name] for record in entry.records if name in record.header.cold_start]
        for entry in panel.trained
    }
    means = {key: sum(seconds) / len(seconds) for key, seconds in told.items() if seconds}
    places = column_decimals((value, None, None) for value in means.values()) or 0
    none = dict.fromkeys((entry.key for entry in panel.entries), TableCell(None, NOTHING))
    return none | {key: TableCell(value, fixed(value, places)) for key, value in means.items()}


def _remarks(records: Sequence[Record]) -> tuple[str, ...]:
    processes = {timing.process for record in records for timing in record.timings}
    stalled = sum(len(record.header.verdict.get("stalled", ())) for record in records)
    said = [
        "Tokens are those of the tokenizer that the systems of the run share, whatever a system writes with; words and "
        "tokens count up to the end of a text. Where the time goes was looked at in a batch of its own, without "
        "compiling or recording, which looking slows; it does not count in any speed. A cold start counts in none.",
        "A latency is told with its interval or not at all: "
        + ", ".join(f"“{title}” takes {fewest(share)} texts" for title, share in SHARES.items())
        + ", timed alone.",
    ]
    if len(processes) > 1:
        said.append(f"Timed in {len(processes)} processes; intervals of throughput are over the choice of these.")
    if stalled:
        which = "call" if stalled == 1 else "calls"
        of_these, count = ("its", "It counts") if stalled == 1 else ("their", "They count")
        said.append(
            f"{stalled} {which} stood still: more than half of the time beyond that of {of_these} like was no work of "
            f"the system. {count} for nothing; others were made instead."
        )
    best = {display_system(r.header): r.header.verdict["best_size"] for r in records if "best_size" in r.header.verdict}
    if best:
        said.append(
            "Fastest number of texts at once: " + ", ".join(f"{name} {size}" for name, size in best.items()) + "."
        )
    return tuple(said)
