"""The table of what generating takes besides time: memory, energy, operations, and the share of what a machine can do.

All of it comes from passes of their own (`benchmarks.records.probe_results`). Memory and energy have verdicts of their
own: a figure that is not to be believed is shown with the reason.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.records.probe_results import ProbeResults
from benchmarks.records.schema import Json
from benchmarks.records.validity import not_valid
from reports.numbers import NOTHING, listed, significant
from reports.panels import Entry, Panel
from reports.table import Column, Row, RowGroup, Table, TableCell
from reports.tables import plain_cells

TITLE = "What generating takes besides time"
_NOT_PROBED = "not run: this cell was made without these passes"
_BEYOND = "it is more than the matrix product reached, which was measured while the machine was busy"
Figure = Callable[[Entry], Sequence[float]]


def table(panel: Panel, suffix: str = "") -> Table | None:
    """A row for each trained entry; None where no cell was probed."""
    entries = [entry for entry in panel.trained if _probed(entry)]
    if not entries:
        return None
    columns, cells = [], []
    for column, figure, name, doubts in (
        (Column("Peak memory", "B", "lower", "Memory", "memory"), _memory, "memory", lambda e: e.memory_doubts),
        (Column("Energy of a text", "J", "lower", "Energy", "energy"), _joules, "energy", lambda e: e.energy_doubts),
        (Column("Operations of a text", "FLOP", "lower", "Compute", "flops"), _flops, "flops", lambda e: ()),
        (Column("Share of the ceiling", "%", "higher", "Compute", "ceiling"), _share, "ceiling", _share_doubts),
    ):
        headed, plain = plain_cells(panel, column, partial(_mean, figure))
        columns.append(headed)
        cells.append({e.key: _cell(e, plain[e.key], name, column.title, doubts(e)) for e in panel.trained})
    tracks = (
        RowGroup(title.capitalize(), tuple(_row(e, [column[e.key] for column in cells]) for e in members))
        for title, members in panel.tracks.items()
    )
    return Table(f"costs{suffix}", TITLE, tuple(columns), tuple(tracks), (_meaning(entries), *_noise(entries)))


def _row(entry: Entry, cells: Sequence[TableCell]) -> Row:
    key = f"{entry.system}/{entry.setting}"
    return Row(entry.title, entry.detail, entry.cell.id, tuple(cells), entry.short, key)


def _cell(entry: Entry, plain: TableCell, name: str, title: str, doubts: Sequence[str]) -> TableCell:
    """A figure with what must be said of it."""
    if plain.value is None:
        reasons = [probes.reasons.get(name) for probes in _probed(entry)]
        told = list(dict.fromkeys(reason for reason in reasons if reason)) or [_missing(entry, name)]
        return TableCell(None, NOTHING, notes=tuple(told))
    if not doubts:
        return plain
    return replace(plain, notes=(f"{title.lower()} {not_valid(doubts)}",), doubtful=True)


def _missing(entry: Entry, name: str) -> str:
    if name == "ceiling" and _probed(entry):
        return "not run: it follows from a throughput and from counted operations, one of which lacks"
    return _NOT_PROBED


def _probed(entry: Entry) -> list[ProbeResults]:
    """What is known of its cells, one for each seed that was probed."""
    return [record.header.probes for record in entry.records if record.header.probes is not None]


def _memory(entry: Entry) -> list[float]:
    return [float(probes.peak_bytes) for probes in _probed(entry) if probes.peak_bytes is not None]


def _joules(entry: Entry) -> list[float]:
    return [joules for probes in _probed(entry) if (joules := probes.joules_per_text) is not None]


def _flops(entry: Entry) -> list[float]:
    return [probes.flops_per_text for probes in _probed(entry) if probes.flops_per_text is not None]


def _share(entry: Entry) -> list[float]:
    """In per cent, at the throughput of all its batches."""
    rate = entry.throughput.value
    shares = [] if rate is None else [probes.share_of_ceiling(rate) for probes in _probed(entry)]
    return [100 * share for share in shares if share is not None]


def _share_doubts(entry: Entry) -> tuple[str, ...]:
    more = max(_share(entry), default=0.0) > 100
    return (*entry.throughput_doubts, *((_BEYOND,) if more else ()))


def _mean(figure: Figure, entry: Entry) -> float | None:
    """Over the entry's seeds."""
    values = figure(entry)
    return statistics.fmean(values) if values else None


def _meaning(entries: Sequence[Entry]) -> str:
    counters = sorted({name for entry in entries for probes in _probed(entry) for name in probes.joules})
    energy = f" Energy is what the counters of {listed(counters)} moved by, idling included." if counters else ""
    ceilings = {p.matrix_flops_per_second for e in entries for p in _probed(e) if p.matrix_flops_per_second}
    best = [f"{significant(rate / 1e12)} TFLOP/s" for rate in sorted(ceilings)]
    ceiling = f" The ceiling is that of a large matrix product: {listed(best[:1] + best[1:][-1:])}." if best else ""
    return (
        "Each was measured in a pass of its own, after all timing. Memory is that of the weights and of what a batch "
        f"takes besides. Operations are of matrix products, convolutions and attention.{energy}{ceiling}"
    )


def _noise(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The smallest ratios that could be told from none, where the machine was measured."""
    told: dict[tuple[str, str], Json] = {}
    for entry in entries:
        for record in entry.records:
            floor = record.header.noise_floor
            told |= {(floor["hardware"], name): one for name, one in floor.get("quantities", {}).items()}
    return tuple(
        f"Noise floor of {hardware}: in {name} a ratio of {one['ratio']:.3f} or more is found by {one['processes']} "
        f"processes of {one['rounds']} rounds, {one['power']:.0%} of the time."
        for (hardware, name), one in sorted(told.items())
    )
