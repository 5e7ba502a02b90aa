"""Tables of published records for other texts: chosen rows and columns, written by the code that writes reports.

`reports/published/tables.toml` says of each table where its records lie and what it shows. A text has it between
`<!-- table NAME -->` and `<!-- end of table -->`, and whatever stood there is replaced. Where the records are not
there, there is no table either: no number without a record.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from baselines.contract import UserError, unknown
from baselines.titles import setting_title, system_title
from benchmarks.records.archive import found_runs
from benchmarks.records.dataframes import read_run
from benchmarks.speed.schema import FILE, read_records
from cosmos.io.typed_json import read_as
from reports import provenance
from reports.markdown import table as as_markdown
from reports.numbers import NOTHING, column_decimals, counted, fixed
from reports.panels import Entry, Panel, panels
from reports.significance import ColumnMarks
from reports.speed.bars import per_second
from reports.table import Column, Row, RowGroup, Table, TableCell
from reports.tables import calls_cells, grouped, score_cells, speed_cells

SPEEDS = {
    "latency": Column("Latency of one text", "ms", "lower"),
    "throughput": Column("Throughput", "texts/s", "higher"),
    "calls": Column("Network calls", "per text"),
}
_PLACE = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


@dataclass(frozen=True)
class Excerpt:
    """One table.

    Attributes:
        records: their folder, from that of `tables.toml`.
        rows: "SYSTEM SETTING", or "SYSTEM" where it has nothing to set; as on the command line.
        columns: names of metrics, "latency", "throughput" and "calls"; of timings with random weights none.
        batches: of timings with random weights, numbers of texts at once.
    """

    records: str
    rows: tuple[str, ...]
    columns: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()


def excerpts(published: Path) -> dict[str, Excerpt]:
    """The tables that are declared, by name.

    Raises:
        UserError: the file is missing or says what cannot be.
    """
    path = published / "tables.toml"
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it from a copy.") from error
    return {name: read_as(Excerpt, table, f"{path}, [{name}]", "correct it") for name, table in read.items()}


def fill(text: str, published: Path) -> str:
    """A Markdown text with its tables written again from the records.

    Raises:
        UserError: it has a table that is not declared, or one has a row or column that its records have not.
    """
    declared = excerpts(published)

    def written(found: re.Match[str]) -> str:
        if found[2] not in declared:
            raise unknown("table", found[2], declared)
        made = build(found[2], declared[found[2]], published)
        return found[1] + ("" if made is None else f"\n{as_markdown(made)}\n\n") + found[3]

    return _PLACE.sub(written, text)


def build(name: str, excerpt: Excerpt, published: Path) -> Table | None:
    """A table from its records; None where these are not there. Errors as in `fill`."""
    place = published / excerpt.records
    if not place.exists():
        return None
    return _of_speed(name, excerpt, place) if (place / FILE).exists() else _of_run(name, excerpt, place)


def _of_run(name: str, excerpt: Excerpt, place: Path) -> Table:
    (found,) = found_runs(place)
    with found.named():
        run = read_run(found.folder)
    task = provenance.task_of(run)
    (panel,) = panels(run.records, task.get("headline") or (), provenance.floors_of(run))
    asked = {_key(entry): entry for entry in panel.entries}
    chosen = tuple(asked[row] for row in _known("row", excerpt.rows, asked))
    part = replace(panel, entries=chosen)
    columns, cells = [], []
    metrics = {column.metric: column for column in panel.columns}
    for wanted in _known("column", excerpt.columns, {**metrics, **SPEEDS}):
        if wanted in SPEEDS:
            columns.append(SPEEDS[wanted])
            cells.append(_of_speeds(part, wanted))
        else:
            columns.append(Column(metrics[wanted].title, "", metrics[wanted].direction))
            cells.append(score_cells(part, metrics[wanted], ColumnMarks()))
    return Table(name, "", tuple(columns), grouped(part, cells))


def _of_speeds(panel: Panel, wanted: str) -> dict[str, TableCell]:
    """Without marks, for only some of the entries are here, and without notes, which a reader finds in the report."""
    if wanted == "calls":
        made = calls_cells(panel)
    elif wanted == "latency":
        made = speed_cells(panel, SPEEDS[wanted], lambda entry: entry.latency, lambda entry: entry.latency_validity)
    else:
        made = speed_cells(
            panel, SPEEDS[wanted], lambda entry: entry.throughput, lambda entry: entry.throughput_validity
        )
    return {key: replace(cell, mark="", notes=()) for key, cell in made.items()}


def _of_speed(name: str, excerpt: Excerpt, place: Path) -> Table:
    done = [r for r in read_records(place).measured if r.status == "done" and r.subject.kind == "generation"]
    asked = {f"{r.subject.system} {r.subject.what}": r.subject for r in done}
    by_place = {(f"{r.subject.system} {r.subject.what}", r.subject.batch): r for r in done}
    columns, cells = [], []
    rows = _known("row", excerpt.rows, asked)
    for size in excerpt.batches:
        here = [by_place[row, size] for row in rows]
        texts = counted(size, "text")
        columns += [Column(texts, "ms", "lower"), Column(f"{texts} at once", "texts/s", "higher")][: 1 + (size > 1)]
        cells += [_column([1e3 * median(r.seconds) for r in here])]
        cells += [_column([per_second(r, size) for r in here])] if size > 1 else []
    made = tuple(
        Row(
            system_title(asked[row].system, asked[row].recipe),
            setting_title(asked[row].system, asked[row].what, asked[row].values),
            "",
            tuple(column[number] for column in cells),
        )
        for number, row in enumerate(rows)
    )
    return Table(name, "", tuple(columns), (RowGroup("Random weights", made),))


def _column(values: Sequence[float | None]) -> list[TableCell]:
    places = column_decimals((value, None, None) for value in values) or 0
    return [TableCell(v, NOTHING if v is None else fixed(v, places)) for v in values]


def _key(entry: Entry) -> str:
    return f"{entry.system} {entry.setting}".strip()


def _known(kind: str, wanted: Sequence[str], there: Mapping[str, object]) -> Sequence[str]:
    for name in wanted:
        if name not in there:
            raise unknown(f"{kind} of the records", name, there)
    return wanted
