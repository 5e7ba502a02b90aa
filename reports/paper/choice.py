"""A table of chosen columns and rows: those of the report, so that a paper has the numbers that the report has."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from baselines.contract import UserError
from reports.content import Report, Section
from reports.numbers import counted, listed
from reports.paper.layouts import PAPER_TABLES, PaperColumn, PaperTable
from reports.paper.pool import Pool, ShownColumn, has_values, keys_for, pool_of
from reports.paper.published import NO_VALUES, rows_under
from reports.table import Row, RowGroup, Table

CHOSEN = "chosen"  # the name of a table that is none of the papers'


@dataclass(frozen=True)
class TableChoice:
    """What a table holds.

    Attributes:
        table: a name of `PAPER_TABLES`, "" for columns of one's own.
        columns: by key, in order; those of the table or, without one, of "at a glance" if empty.
        rows: SYSTEM or SYSTEM/SETTING, in order, `*` for anything; all if empty.
        digits: decimals by column, of all others under "".
        caption: "" for that of the table.

    Raises:
        UserError: there is no such table, or one with columns of its own is to have others.
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
    """Decimals as they are typed: `2` for all columns, `mauve=3,perplexity=1` for some.

    Raises:
        UserError: it is neither.
    """
    found = {}
    for part in filter(None, (part.strip() for part in typed.split(","))):
        name, _, number = part.rpartition("=")
        if not re.fullmatch("[0-9]", number):
            raise UserError(f"Digits are a number from 0 to 9, or COLUMN=NUMBER with commas; '{part}' is neither.")
        found[name.strip()] = int(number)
    return found


def made_choice(
    table: str,
    columns: Sequence[str],
    rows: Sequence[str],
    digits: str | int | Mapping[str, int],
    caption: str,
) -> TableChoice:
    """A choice of values of Python; decimals of all columns, or by column, may be a text, as `parse_digits` has it.

    Raises:
        UserError: as `TableChoice` and `parse_digits`.
    """
    if isinstance(digits, int):
        digits = {"": digits}
    if not isinstance(digits, str):
        digits = ",".join(f"{name}={number}" if name else str(number) for name, number in digits.items())
    return TableChoice(table, tuple(columns), tuple(rows), parse_digits(digits), caption)


def chosen(report: Report, choice: TableChoice) -> tuple[Table, ...]:
    """The table of each section of a report.

    Raises:
        UserError: a column or a row is not in the report, or nothing of the table was scored.
    """
    several = len(report.sections) > 1
    return tuple(
        _of_section(section, choice, f"-{number}" if several else "")
        for number, section in enumerate(report.sections, start=1)
    )


def _of_section(section: Section, choice: TableChoice, suffix: str) -> Table:
    pool, asked = pool_of(section), _asked(section, choice)
    shown = _with_digits(_shown(section, choice, asked, pool), choice)
    of_task = section.panel.cell.task == choice.table
    published = asked.published if of_task else ()
    told = [column for column in shown if column.key or any(block.gives(column.asked.head) for block in published)]
    columns = tuple(column.head(pool) for column in told)
    known = [row for block in section.glance.blocks for row in block.rows]
    patterns = _patterns(choice, known)
    blocks = []
    for block in section.glance.blocks:
        rows = _ordered(block.rows, patterns)
        cells = (tuple(column.cell(row, pool) for column in told) for row in rows)
        measured = tuple(replace(row, cells=of) for row, of in zip(rows, cells, strict=True))
        blocks += [replace(block, rows=measured)] if rows else []
    count = sum(len(block.rows) for block in blocks)
    heads = [column.title for column in columns]
    blocks += [RowGroup(block.title, rows_under(heads, block)) for block in published]
    caption = choice.caption or (f"{asked.caption}: {section.title}" if suffix else asked.caption)
    hidden = f"Marks are among all {counted(len(known), 'row')} of the run, of which {count} are shown."
    return Table(
        f"{choice.name}{suffix}",
        caption,
        columns,
        tuple(blocks),
        remarks=_signatures(section, shown),
        brief=(*_brief(section, choice, asked, shown), *((hidden,) if count < len(known) else ())),
    )


def _asked(section: Section, choice: TableChoice) -> PaperTable:
    """The columns of the named table, those that were typed, or those of "at a glance"."""
    if choice.table:
        return PAPER_TABLES[choice.table]
    keys = choice.columns or tuple(column.key for column in section.glance.columns)
    return PaperTable(section.glance.caption, tuple(PaperColumn("", (key,)) for key in keys))


def _shown(section: Section, choice: TableChoice, asked: PaperTable, pool: Pool) -> list[ShownColumn]:
    found = {column: keys_for(column, pool, section) for column in asked.columns}
    if not choice.table:
        for column, keys in found.items():
            if not keys:
                raise UserError(f"There is no column '{column.keys[0]}' in this run; choose from {listed(pool)}.")
        return [ShownColumn(column, key) for column, keys in found.items() for key in keys]
    if not any(has_values(pool, key) for keys in found.values() for key in keys):
        raise UserError(
            f"This run has no number of the table {choice.table}; choose another one, or --columns from {listed(pool)}."
        )
    return [ShownColumn(column, next(iter(keys), ""), column.digits) for column, keys in found.items()]


def _with_digits(shown: Sequence[ShownColumn], choice: TableChoice) -> list[ShownColumn]:
    """The decimals that were typed in place of those of the table."""
    for name in filter(None, choice.digits):
        if not any(name in column.names for column in shown):
            keys = listed(column.key for column in shown if column.key)
            raise UserError(f"There is no column '{name}' in this table, to have digits; choose from {keys}.")
    every = choice.digits.get("")
    out = []
    for column in shown:
        typed = next((choice.digits[name] for name in column.names if name in choice.digits), every)
        out.append(column if typed is None else replace(column, digits=typed))
    return out


def _patterns(choice: TableChoice, known: Sequence[Row]) -> tuple[str, ...]:
    """The patterns of rows, each of which some row answers to."""
    for pattern in choice.rows:
        if not any(_answers(row, pattern) for row in known):
            names = dict.fromkeys(row.key.removesuffix("/") for row in known)
            raise UserError(f"There is no row '{pattern}' in this run; choose from {listed(names)}.")
    return choice.rows


def _answers(row: Row, pattern: str) -> bool:
    """Whether a row is meant by SYSTEM or SYSTEM/SETTING."""
    name = row.key.removesuffix("/") if "/" in pattern else row.key.partition("/")[0]
    return fnmatch.fnmatchcase(name, pattern)


def _ordered(rows: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """The rows that were asked for, in that order."""
    if not patterns:
        return list(rows)
    asked = [row for pattern in patterns for row in rows if _answers(row, pattern)]
    return list({id(row): row for row in asked}.values())


def _signatures(section: Section, shown: Sequence[ShownColumn]) -> tuple[str, ...]:
    """Who judged each column, for whoever writes the text around the table."""
    by_key = {score.key: score for score in section.panel.columns}
    told = [(column.asked.head, by_key[column.key]) for column in shown if column.key in by_key]
    return tuple(f"{head or score.title}: {score.signature}" for head, score in told)


def _brief(section: Section, choice: TableChoice, asked: PaperTable, shown: Sequence[ShownColumn]) -> tuple[str, ...]:
    """Over how many texts, what stands under a paper's head, and what the published values are."""
    said = list(section.glance.brief)
    by_key = {score.key: score for score in section.panel.columns}
    named = [
        f"{column.asked.head}: {by_key[column.key].title}, by {by_key[column.key].signature.evaluator.split(',')[0]}"
        for column in shown
        if column.asked.head and column.key in by_key
    ]
    lacking = listed(column.asked.head for column in shown if not column.key)
    said += [f"{'; '.join(named)}."] if named else []
    said += [f"Not measured here: {lacking}."] if lacking else []
    task = section.panel.cell.task
    if task == choice.table and asked.published:
        said += [f"{block.source}: {block.protocol}." for block in asked.published]
        said.append(f"Measured values are of {section.title}: published ones are for orientation, not for comparison.")
    said += [NO_VALUES[choice.table]] if choice.table in NO_VALUES and choice.table in (task, "time") else []
    return tuple(said)
