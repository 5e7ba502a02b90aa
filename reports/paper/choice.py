"""A table of chosen columns and rows: those of the report, so that a paper has the numbers that the report has."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from baselines.contract import UserError
from reports.content import Report, Section
from reports.numbers import NOTHING, counted, fixed, listed
from reports.paper.layouts import HEADLINE, PAPER_TABLES, PaperColumn, PaperTable, headed
from reports.paper.published import NO_VALUES, PublishedBlock, PublishedRow
from reports.table import Column, Row, RowGroup, Table, TableCell

CHOSEN = "chosen"  # the name of a table that no layout has
_MOST_DIGITS = 9


@dataclass(frozen=True)
class Choice:
    """What a table holds.

    Attributes:
        table: a name of `PAPER_TABLES`, "" for columns of one's own.
        columns: by key, in order; those of the table or, without one, of "at a glance" if empty.
        rows: SYSTEM or SYSTEM/SETTING, in order, `*` for anything; all if empty.
        digits: decimals by column, of all columns under "".
        caption: "" for that of the table.
    """

    table: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    digits: Mapping[str, int] = field(default_factory=dict)
    caption: str = ""

    def __post_init__(self) -> None:
        if self.table and self.table not in PAPER_TABLES:
            raise UserError(f"There is no table '{self.table}'; choose from {listed(PAPER_TABLES)}.")
        if self.table and self.columns:
            raise UserError(f"The table {self.table} has its own columns; leave out either --table or --columns.")

    @property
    def name(self) -> str:
        return self.table or CHOSEN

    def __bool__(self) -> bool:
        return bool(self.table or self.columns or self.rows or self.digits or self.caption)


def parse_digits(typed: str) -> dict[str, int]:
    """Decimals as they are typed: `2` for all columns, `mauve=3,ppl=1` for some.

    Raises:
        UserError: it is neither.
    """
    found = {}
    for part in filter(None, (part.strip() for part in typed.split(","))):
        name, _, number = part.rpartition("=")
        if not re.fullmatch(r"\d", number):
            raise UserError(
                f"Digits are a number from 0 to {_MOST_DIGITS}, or COLUMN=NUMBER with commas; '{part}' is neither."
            )
        found[name.strip()] = int(number)
    return found


def chosen(report: Report, choice: Choice) -> tuple[Table, ...]:
    """The table of each section of a report.

    Raises:
        UserError: a column or a row is not in the report, or nothing of the table was scored.
    """
    several = len(report.sections) > 1
    return tuple(
        _of_section(section, choice, f"-{number}" if several else "")
        for number, section in enumerate(report.sections, start=1)
    )


def _of_section(section: Section, choice: Choice, suffix: str) -> Table:
    pool = _pool(section)
    layout = PAPER_TABLES.get(choice.table) or _own(section, choice)
    found = {column: _keys(column, pool, section) for column in layout.columns}
    if choice.table and not any(_scored(pool, key) for keys in found.values() for key in keys):
        fits = [
            name
            for name, one in PAPER_TABLES.items()
            if any(_scored(pool, k) for c in one.columns for k in _keys(c, pool, section))
        ]
        raise UserError(f"This run has no score of the table {choice.table}; choose {listed(fits)}, or --columns.")
    shown = [(column, key) for column, keys in found.items() for key in keys[: 1 if choice.table else None] or [""]]
    digits = _digits(choice, shown, pool)
    columns = tuple(headed(column, pool[key][0]) if key else Column(column.head) for column, key in shown)
    glance = section.glance
    rows = _rows(choice, glance)
    blocks = tuple(
        RowGroup(
            block.title,
            tuple(
                replace(row, cells=tuple(_cell(row, column, key, pool, digits) for column, key in shown))
                for row in _ordered(block.rows, rows)
            ),
        )
        for block in glance.blocks
    )
    kept = tuple(block for block in blocks if block.rows)
    of_task = section.panel.cell.task == choice.table
    published = tuple(_published(block, columns) for block in layout.published if of_task)
    caption = choice.caption or layout.caption
    return Table(
        f"{choice.name}{suffix}",
        caption if not suffix or choice.caption else f"{caption}: {section.title}",
        columns,
        (*kept, *published),
        remarks=_judged(section, shown),
        brief=_brief(section, choice, layout, shown, glance, kept),
    )


Pool = Mapping[str, tuple[Column, Mapping[str, TableCell]]]
"""Columns by key, with their cells by the id of the row's cell."""


def _pool(section: Section) -> Pool:
    """Every column of a section's tables that has a key; what stands in several is taken from the first."""
    pool: dict[str, tuple[Column, Mapping[str, TableCell]]] = {}
    for table in section.tables:
        for place, column in enumerate(table.columns):
            if column.key and column.key not in pool:
                cells = {row.cell_id: row.cells[place] for block in table.blocks for row in block.rows}
                pool[column.key] = (column, cells)
    return pool


def _own(section: Section, choice: Choice) -> PaperTable:
    """The columns that were typed, or those of "at a glance"."""
    keys = choice.columns or tuple(column.key for column in section.glance.columns)
    columns = tuple(PaperColumn("", (key,)) for key in keys)
    return PaperTable(section.glance.caption, columns)


def _keys(column: PaperColumn, pool: Pool, section: Section) -> list[str]:
    """The keys of the report's columns that may stand in a column, best first; all signatures of a metric that was
    judged in several ways."""
    found = []
    for key in column.keys:
        if key == HEADLINE:
            found += [section.panel.headline.title] if section.panel.headline else []
        elif key in pool:
            found.append(key)
        else:
            found += [score.title for score in section.panel.columns if score.metric == key and score.title in pool]
    return sorted(found, key=lambda key: not _scored(pool, key))  # what has values comes first


def _scored(pool: Pool, key: str) -> bool:
    return key in pool and any(cell.value is not None for cell in pool[key][1].values())


def _digits(choice: Choice, shown: Sequence[tuple[PaperColumn, str]], pool: Pool) -> dict[str, int | None]:
    """Decimals by key: those that were typed, else the layout's."""
    if not choice.table:
        for key in choice.columns:
            if not any(key in column.keys and found for column, found in shown):
                raise UserError(f"There is no column '{key}' in this run; choose from {listed(pool)}.")
    names = {name: found for column, found in shown for name in (column.head, *column.keys, found) if found}
    for name in choice.digits:
        if name and name not in names:
            raise UserError(
                f"Digits are given for '{name}', which is no column of this table; choose from {listed(dict.fromkeys(found for _, found in shown if found))}."
            )
    default = choice.digits.get("")
    return {
        found: next(
            (choice.digits[n] for n in (found, column.head, *column.keys) if n and n in choice.digits),
            column.digits if default is None else default,
        )
        for column, found in shown
    }


def _cell(row: Row, column: PaperColumn, key: str, pool: Pool, digits: Mapping[str, int | None]) -> TableCell:
    cell = pool[key][1].get(row.cell_id) if key else None
    if cell is None:
        return TableCell(None, NOTHING)
    places, of = digits[key], pool[key][0]
    if cell.value is None or (places is None and column.times == 1):
        return cell
    value, low, high = (None if one is None else one * column.times for one in (cell.value, cell.low, cell.high))
    assert value is not None
    if places is None:
        places = _decimals(cell.text)
    bound = "≤ " if cell.text.startswith("≤") else ""
    text = bound + fixed(value / of.scale, places)
    interval = (
        ""
        if low is None or high is None or not cell.interval
        else f"[{fixed(low / of.scale, places)}, {fixed(high / of.scale, places)}]"
    )
    return replace(cell, value=value, low=low, high=high, text=text, interval=interval)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _rows(choice: Choice, glance: Table) -> tuple[str, ...]:
    """The patterns of rows, each of which some row answers to."""
    names = [row.key for block in glance.blocks for row in block.rows]
    for pattern in choice.rows:
        if not any(_answers(name, pattern) for name in names):
            known = list(dict.fromkeys(name.removesuffix("/") for name in names))
            raise UserError(f"There is no row '{pattern}' in this run; choose from {listed(known)}.")
    return choice.rows


def _answers(name: str, pattern: str) -> bool:
    """Whether a row is meant by SYSTEM or SYSTEM/SETTING."""
    whole = name if "/" in pattern else name.partition("/")[0]
    return fnmatch.fnmatchcase(whole.removesuffix("/"), pattern)


def _ordered(rows: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """The rows that were asked for, in that order."""
    if not patterns:
        return list(rows)
    places = {
        id(row): next((p for p, pattern in enumerate(patterns) if _answers(row.key, pattern)), None) for row in rows
    }
    kept = [row for row in rows if places[id(row)] is not None]
    return sorted(kept, key=lambda row: places[id(row)] or 0)


def _published(block: PublishedBlock, columns: Sequence[Column]) -> RowGroup:
    return RowGroup(block.title, tuple(_published_row(row, columns) for row in block.rows))


def _published_row(row: PublishedRow, columns: Sequence[Column]) -> Row:
    texts = [row.values.get(column.title, "") for column in columns]
    cells = tuple(TableCell(float(text), text) if text else TableCell(None, NOTHING) for text in texts)
    return Row(row.name, row.detail, "", cells)


def _judged(section: Section, shown: Sequence[tuple[PaperColumn, str]]) -> tuple[str, ...]:
    """Who judged each column, for whoever writes the text around the table."""
    by_title = {score.title: score for score in section.panel.columns}
    return tuple(f"{column.head or key}: {by_title[key].signature}" for column, key in shown if key in by_title)


def _brief(
    section: Section,
    choice: Choice,
    layout: PaperTable,
    shown: Sequence[tuple[PaperColumn, str]],
    glance: Table,
    kept: Sequence[RowGroup],
) -> tuple[str, ...]:
    """Over how many texts, what stands under a paper's head, and what the published values are."""
    said = [*glance.brief[:1]]
    by_title = {score.title: score for score in section.panel.columns}
    named = [
        f"{column.head}: {key}, by {_judge(by_title[key].signature.evaluator)}"
        for column, key in shown
        if column.head and key in by_title
    ]
    if named:
        said.append(f"{'; '.join(named)}.")
    lacking = [column.head for column, key in shown if not key]
    if lacking:
        said.append(f"Not scored here: {listed(lacking)}.")
    every, some = (sum(len(block.rows) for block in blocks) for blocks in (glance.blocks, kept))
    if some < every:
        said.append(f"Marks are among all {counted(every, 'row')} of the run, of which {some} are shown.")
    if section.panel.cell.task == choice.table:
        said += [f"{block.source}: {block.protocol}." for block in layout.published]
        if layout.published:
            said.append(f"This run is of {section.title}: published values are for orientation, not for comparison.")
    said += (
        [NO_VALUES[choice.table]]
        if choice.table in (section.panel.cell.task, "time") and choice.table in NO_VALUES
        else []
    )
    return tuple(said)


def _judge(evaluator: str) -> str:
    """The first of those who judged; their versions stand in the records."""
    return evaluator.split(",")[0]
