"""The table of curves, what they say in sentences, and their points as rows for whoever draws them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from reports.curves.equal import EqualTerms
from reports.curves.knobs import curves_of
from reports.front import is_placed
from reports.legend import scores_covered
from reports.numbers import MINUS, NOTHING, column_decimals, counted, in_full, listed, written
from reports.panels import Panel
from reports.quantities import Quantity
from reports.table import Column, Row, RowGroup, Table, TableCell

HEAD = (
    *("panel", "curve", "system", "knob", "knob_value", "setting", "metric", "quality", "quality_low", "quality_high"),
    *("milliseconds", "milliseconds_low", "milliseconds_high"),
)


def table(panel: Panel, terms: Sequence[EqualTerms], suffix: str = "") -> Table | None:
    """Each curve against entries of other systems; None where there is none."""
    column = panel.headline
    if column is None or not terms:
        return None
    columns = (
        Column(column.title, "in that time", "none", "At equal time"),
        Column("Ahead by", column.title, "none", "At equal time"),
        Column("Time", "ms a text", "none", "At equal quality"),
        Column("Times as fast", "as that entry", "none", "At equal quality"),
    )
    groups: dict[str, list[Row]] = {}
    every = [(one.quality, one.ahead, one.milliseconds, one.times_as_fast) for one in terms]
    places = [column_decimals((q.value, q.low, q.high) for q in column) for column in zip(*every, strict=True)]
    for one, quantities in zip(terms, every, strict=True):
        if any(quantity.value is not None for quantity in quantities):
            row = Row(
                one.entry.title,
                ", ".join(part for part in (one.entry.setting_title, *one.entry.tags) if part),
                one.entry.cell.id,
                tuple(map(_cell, quantities, places)),
                one.entry.short,
            )
            groups.setdefault(one.curve.name, []).append(row)
    alone = [name for name in dict.fromkeys(one.curve.name for one in terms) if name not in groups]
    remarks = (
        "A curve is a system whose settings differ in one number, all else equal. A row says what the curve reaches in "
        "the time of that entry (texts together, as in throughput), how far it is ahead then (below 0: behind), what "
        "time it takes to the entry's quality, and how many times as fast as the entry it is then. Entries with which "
        "nothing is in common are left out.",
        "Between neighbours of a curve quality is linear in the logarithm of time, a setting that another one of the "
        "curve beats in both is passed over, and nothing is read beyond its ends. Intervals (95 %, of comparisons for "
        f"all of them together): {scores_covered(panel)}, and of timed batches.",
        *((f"Neither times nor qualities in common with others has {listed(alone)}.",) if alone else ()),
    )
    if not groups:
        return None
    blocks = tuple(RowGroup(name, tuple(rows)) for name, rows in groups.items())
    return Table(f"curves{suffix}", "Quality at equal time and speed at equal quality", columns, blocks, remarks)


def _cell(quantity: Quantity, places: int | None) -> TableCell:
    if quantity.value is None:
        return TableCell(None, NOTHING, notes=(quantity.reason or "",))
    text, interval = written(quantity.value, quantity.low, quantity.high, places)
    return TableCell(quantity.value, text, interval, low=quantity.low, high=quantity.high)


def sentences(panel: Panel, terms: Sequence[EqualTerms]) -> tuple[str, ...]:
    """A sentence for each curve: of whom it is ahead, in equal time, and behind whom, as far as intervals bear that
    out."""
    column = panel.headline
    if column is None:
        return ()
    said = []
    for name in dict.fromkeys(one.curve.name for one in terms):
        own = [one for one in terms if one.curve.name == name and one.ahead.value is not None]
        ahead = [f"{one.entry.name} ({_said(one.ahead)})" for one in own if (one.ahead.low or 0.0) > 0]
        behind = [f"{one.entry.name} ({_said(one.ahead)})" for one in own if (one.ahead.high or 0.0) < 0]
        unclear = len(own) - len(ahead) - len(behind)
        parts = [f"{word} {listed(names)}" for word, names in (("ahead of", ahead), ("behind", behind)) if names]
        parts += [f"not told apart from {counted(unclear, 'other')}"] if unclear else []
        if parts:
            said.append(f"In equal time, on {column.title}, {name} is {listed(parts)}.")
    return tuple(said)


def _said(quantity: Quantity) -> str:
    text, _ = written(quantity.value, quantity.low, quantity.high)
    return text if text.startswith(MINUS) else f"+{text}"


def figure_data(panels: Sequence[tuple[str, Panel]]) -> str | None:
    """The points of every curve as CSV, with their intervals; None where there is no curve."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HEAD, lineterminator="\n")
    writer.writeheader()
    count = 0
    for title, panel in panels:
        column = panel.headline
        placed = [] if column is None else [entry for entry in panel.trained if is_placed(column, entry)]
        for curve in curves_of(placed):
            assert column is not None
            for value, entry in zip(curve.values, curve.entries, strict=True):
                quality, speed = column.scores[entry.key].quantity, entry.throughput
                told = (title, curve.name, curve.system, curve.knob, value, entry.setting, column.title)
                numbers = (
                    quality.value,
                    quality.low,
                    quality.high,
                    *map(_milliseconds, (speed.value, speed.high, speed.low)),
                )
                full = ("" if number is None else in_full(number) for number in numbers)
                writer.writerow(dict(zip(HEAD, (*told, *full), strict=True)))
                count += 1
    return out.getvalue() if count else None


def _milliseconds(texts_per_second: float | None) -> float | None:
    return 1e3 / texts_per_second if texts_per_second else None
