"""A comparison as tables: one for each task, source and set of documents, a block for each entry."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity, RunComparison
from reports.comparison import sentences
from reports.numbers import counted, p_value
from reports.table import Column, Row, RowGroup, Table, TableCell

COLUMNS = (
    Column("A"),
    Column("B"),
    Column("Change"),
    Column("p"),
    Column("B is"),
    Column("Detectable"),
    Column("Covers"),
)
_SENSE = {"higher": "higher is better", "lower": "lower is better", "none": "neither way is better"}


def tables(comparison: RunComparison) -> tuple[Table, ...]:
    """The tables of a comparison, in the order of its entries."""
    panels: dict[str, list[ComparedEntry]] = {}
    for entry in comparison.entries:
        panels.setdefault(entry.panel, []).append(entry)
    return tuple(_table(f"comparison-{place}", title, those) for place, (title, those) in enumerate(panels.items(), 1))


def _table(name: str, title: str, entries: Sequence[ComparedEntry]) -> Table:
    blocks = tuple(
        RowGroup(f"{entry.shown}{_seeds(entry)}", tuple(map(_row, entry.quantities)))
        for entry in entries
        if entry.quantities
    )
    return Table(name, f"B against A: {title}", COLUMNS, blocks, sentences.remarks(entries), head="Quantity")


def _seeds(entry: ComparedEntry) -> str:
    counts = len(entry.seeds_a), len(entry.seeds_b)
    if counts == (1, 1):
        return ""
    said = counted(counts[0], "seed") if counts[0] == counts[1] else f"{counts[0]} and {counts[1]} seeds"
    return f", {said}"


def _row(row: ComparedQuantity) -> Row:
    text, interval = sentences.change(row)
    why = (row.reason,) if row.reason else ()
    cells = (
        TableCell(row.a, sentences.value(row, row.a)),
        TableCell(row.b, sentences.value(row, row.b)),
        TableCell(row.change, text, interval),
        TableCell(row.p, "–" if row.p is None else p_value(row.p).removeprefix("p = ").removeprefix("p ")),
        TableCell(None, sentences.outcome(row), notes=(*why, *row.notes)),
        TableCell(row.detectable, sentences.detectable(row)),
        TableCell(row.n, f"{row.n:,} {row.covers or 'texts'}"),
    )
    unit = f"{row.unit}, " if row.unit else ""
    return Row(row.shown, f"{unit}{_SENSE[row.direction]}", "", cells)
