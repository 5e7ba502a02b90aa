"""The tables of a panel: quality beside speed and cost at a glance, and every score in full."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.records.schema import Score
from benchmarks.records.validity import Validity
from reports.columns import EntryScore, ScoreColumn
from reports.legend import SPEED_COVERED, covered, first_stage_note, has_intervals, over, scores_covered
from reports.names import display_metric, display_network
from reports.numbers import NOTHING, column_decimals, counted, fixed, listed, percent, significant, written
from reports.panels import Entry, Panel
from reports.quantities import Quantity
from reports.significance import ColumnMarks, Mark, mark_disjoint
from reports.table import Column, Row, RowGroup, Table, TableCell

FOR_SCALE = "For scale"  # floors, the reference and whatever else was not trained here
QUALITY = "Quality"  # heads the columns of the headline and its companions
FRONT = (
    "the share of draws of texts, of seeds where there are several, and of timed batches in which no other entry of "
    "the track is at least as good and as fast, and better in one."
)
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def at_a_glance(
    panel: Panel,
    judgements: Mapping[str, ColumnMarks],
    front: Mapping[str, float],
    unbegun: int = 0,
    suffix: str = "",
) -> Table:
    """The headline score, and what it is never shown without, beside speed, size and the cost of training.

    Args:
        front: by entry, the share of draws in which it is on the front of quality and speed.
        unbegun: cells of the plan that were not begun.
        suffix: of the table's name, where a report has several.
    """
    columns: list[Column] = []
    cells: list[dict[str, TableCell]] = []
    for score in at_first(panel):
        columns.append(Column(score.title, "", score.direction, QUALITY, score.key))
        cells.append(score_cells(panel, score, judgements[score.title]))
    for column, of, doubts in (
        (
            Column("Latency of one text", "ms, median", "lower", "Speed", "latency"),
            lambda entry: entry.latency,
            lambda entry: entry.latency_validity,
        ),
        (
            Column("Throughput", "texts/s", "higher", "Speed", "throughput"),
            lambda entry: entry.throughput,
            lambda entry: entry.throughput_validity,
        ),
    ):
        columns.append(column)
        cells.append(speed_cells(panel, column, of, doubts))
    columns.append(Column("Network calls", "per text", "none", "Speed", "calls"))
    cells.append(calls_cells(panel))
    if front:
        columns.append(Column("On the front", "% of draws", "none", "Both", "front"))
        cells.append({entry.key: _front_cell(entry, front) for entry in panel.entries})
    for column, values in (
        (Column("Trained parameters", "", "none", "Size", "parameters"), lambda entry: entry.trainable.value),
        (Column("Frozen parameters", "", "none", "Size", "frozen"), lambda entry: entry.frozen.value),
        (Column("Training time", "s", "none", "Training", "train_seconds"), lambda entry: entry.train_seconds.value),
        (Column("Training compute", "FLOP", "none", "Training", "train_flops"), lambda entry: entry.train_flops.value),
    ):
        headed, column_cells = plain_cells(panel, column, values)
        columns.append(headed)
        if column.group == "Training":
            column_cells |= _with_first_stages(panel, column_cells)
        cells.append(column_cells)
    return Table(
        name=f"glance{suffix}",
        caption="Quality, speed and cost at a glance",
        columns=tuple(columns),
        blocks=grouped(panel, cells),
        remarks=(
            *meanings(at_first(panel)),
            *filter(None, (covered(panel),)),
            *((f"On the front: {FRONT}",) if front else ()),
            *_power(panel, judgements),
            *_gaps(len(panel.missing), unbegun),
        ),
        brief=over(panel),
    )


def at_first(panel: Panel) -> tuple[ScoreColumn, ...]:
    """The headline, and what it is never shown without."""
    headline = panel.headline
    if headline is None:
        return ()
    return (headline, *(c for name in headline.companions for c in panel.columns if c.metric == name))


def meanings(columns: Sequence[ScoreColumn]) -> tuple[str, ...]:
    """What each metric says, for the table in which it stands first."""
    return tuple(f"{column.title}: {column.summary}" for column in columns if column.summary)


def _with_first_stages(panel: Panel, cells: Mapping[str, TableCell]) -> dict[str, TableCell]:
    """The cells of what training cost, with a note on what was paid for once, elsewhere."""
    said = {entry.key: first_stage_note(stage) for entry in panel.trained if (stage := entry.first_stage)}
    return {key: replace(cells[key], notes=(*cells[key].notes, note)) for key, note in said.items()}


def _front_cell(entry: Entry, front: Mapping[str, float]) -> TableCell:
    share = front.get(entry.key)
    return TableCell(None, NOTHING) if share is None else TableCell(share, percent(share).removesuffix(" %"))


def by_batch(panel: Panel, suffix: str = "") -> Table | None:
    """Texts per second by number of texts made at once; None where only one number was timed."""
    sizes = sorted({size for entry in panel.trained for size in entry.sweep})
    if not sizes:
        return None
    sizes = sorted({1, *sizes, *(entry.batch_size for entry in panel.trained if not entry.imported)})
    columns = tuple(Column(f"{size}", "texts/s", "higher", "Texts at once", f"throughput-{size}") for size in sizes)
    cells = [
        speed_cells(panel, column, partial(speed_at, size=size), partial(Entry.validity_at, size=size))
        for column, size in zip(columns, sizes, strict=True)
    ]
    table = Table(f"batches{suffix}", "Speed by number of texts made at once", columns, grouped(panel, cells))
    return replace(
        table,
        blocks=tuple(block for block in table.blocks if not block.for_scale),
        remarks=(f"Intervals (95 %): {SPEED_COVERED}.",),
    )


def speed_at(entry: Entry, size: int) -> Quantity:
    """Texts per second of an entry with so many texts at once."""
    if size in entry.sweep:
        return entry.sweep[size]
    if size == 1 and entry.latency.value:
        value, low, high = entry.latency.value, entry.latency.low, entry.latency.high
        return Quantity(1e3 / value, high and 1e3 / high, low and 1e3 / low, entry.latency.n)
    return entry.throughput if size == entry.batch_size else Quantity(None, reason="not run: this size was not timed")


def in_full(panel: Panel, judgements: Mapping[str, ColumnMarks], suffix: str = "") -> Table:
    """Every score of every entry, and what each metric says."""
    told = [column for column in panel.columns if _has_values(column)] or list(panel.columns)
    columns = tuple(Column(column.title, "", column.direction, "", column.key) for column in told)
    cells = [score_cells(panel, column, judgements[column.title]) for column in told]
    silent = [column for column in panel.columns if column not in told]
    first = at_first(panel)  # explained where they stand first, in the table before this one
    explained = meanings([column for column in told if column not in first])
    intervals = (f"Intervals (95 %): {scores_covered(panel)}.",) if has_intervals(panel) else ()
    remarks = (*intervals, *panel.splits, *_without_values(silent), *explained)
    return Table(f"scores{suffix}", "All scores", columns, grouped(panel, cells), remarks, brief=over(panel))


def by_seed(panel: Panel, suffix: str = "") -> Table | None:
    """What training seeds alone move of every score, beside what its texts leave open; None where there is one seed."""
    entries = [entry for entry in panel.trained if len(entry.records) > 1]
    told = [
        column
        for column in panel.columns
        if any(len(column.scores[entry.key].seeds) > 1 for entry in entries if entry.key in column.scores)
    ]
    if not told:
        return None
    cells = [{entry.key: _seed_cell(column.scores.get(entry.key)) for entry in entries} for column in told]
    blocks = grouped(replace(panel, entries=tuple(entries)), cells)
    columns = tuple(Column(column.title, "", "none", "") for column in told)
    remark = (
        "The standard deviation of a score between the trainings of an entry, which differ by their seed alone; after "
        "± half the width of the 95 % interval that its texts leave open, all seeds together. Where the first is more "
        "than half of the second, another training moves the score by as much as other texts do."
    )
    brief = ("Standard deviations between trainings; ± is half of the 95 % interval over texts.",)
    return Table(f"seeds{suffix}", "What training seeds alone move", columns, blocks, (remark,), brief=brief)


def _seed_cell(score: EntryScore | None) -> TableCell:
    if score is None or len(score.seeds) < 2:
        return TableCell(None, NOTHING)
    apart = statistics.stdev(score.seeds)
    texts = f"texts ± {significant(score.from_texts, 2)}" if score.from_texts is not None else ""
    return TableCell(apart, significant(apart, 2), texts)


def before_and_after(panel: Panel, suffix: str = "") -> Table | None:
    """What the references score against themselves as they were written: as they were, and through the tokenizer.

    None where the tokenizer takes nothing from them, or no cell of the panel repeats them.
    """
    record = next((r for entry in panel.entries for r in entry.records if r.as_written), None)
    if record is None:
        return None
    by_metric: dict[str, list[Score]] = {}
    for score in record.as_written:
        by_metric.setdefault(score.metric, []).append(score)
    columns = tuple(
        Column(display_metric(metric, before.title), "", before.direction) for metric, (before, _) in by_metric.items()
    )
    rows = []
    for place, title in enumerate(("reference as written", "reference through the tokenizer")):
        cells = []
        for pair in by_metric.values():
            score = pair[place]
            places = column_decimals((each.value, each.low, each.high) for each in pair)
            value, interval = written(score.value, score.low, score.high, places)
            cells.append(TableCell(score.value, value, interval))
        rows.append(Row(title, "", record.header.cell.id, tuple(cells)))
    return Table(
        f"tokenizer{suffix}",
        "What the tokenizer takes from the references",
        columns,
        (RowGroup("Against the references as they were written", tuple(rows)),),
        (
            "Whoever writes that tokenizer's pieces could score no better than the second row; therefore all other "
            "tables compare texts that went through it, references too. Metrics that are not here show no difference.",
        ),
    )


def _has_values(column: ScoreColumn) -> bool:
    return any(score.quantity.value is not None for score in column.scores.values())


def _without_values(columns: Sequence[ScoreColumn]) -> list[str]:
    """A sentence for every reason why scores have no value anywhere, in place of columns of dashes."""
    by_reasons: dict[tuple[str, ...], list[str]] = {}
    for column in columns:
        reasons = tuple(dict.fromkeys(str(score.quantity.reason) for score in column.scores.values()))
        by_reasons.setdefault(reasons, []).append(column.title)
    return [f"No entry has a value of {listed(titles)} ({'; '.join(why)})." for why, titles in by_reasons.items()]


def grouped(panel: Panel, cells: Sequence[Mapping[str, TableCell]]) -> tuple[RowGroup, ...]:
    """The rows of a panel by track, from its columns, and what is there for scale."""

    def rows(entries: Iterable[Entry]) -> tuple[Row, ...]:
        return tuple(
            Row(
                entry.title,
                entry.detail,
                entry.cell.id,
                tuple(column[entry.key] for column in cells),
                entry.short,
                f"{entry.system}/{entry.setting}",
            )
            for entry in entries
        )

    tracks = tuple(RowGroup(title.capitalize(), rows(entries)) for title, entries in panel.tracks.items())
    return (*tracks, *((RowGroup(FOR_SCALE, rows(panel.for_scale), for_scale=True),) if panel.for_scale else ()))


def _power(panel: Panel, judgements: Mapping[str, ColumnMarks]) -> tuple[str, ...]:
    """What the tests of the headline could have shown, so that "not told apart" is not read as "equal"."""
    headline = panel.headline
    pairs = judgements[headline.title].pairs if headline else ()
    if headline is None or not pairs:
        return ()
    typical = statistics.median(pair.detectable() for pair in pairs)
    if not math.isfinite(typical):
        return (f"What difference in {headline.title} these texts could have shown cannot be told from them.",)
    texts, tests = counted(min(pair.n for pair in pairs), "text"), counted(pairs[0].tests, "test")
    told = (
        f"With {texts}, and Holm's correction for {tests}, a difference in {headline.title} of about "
        f"{significant(typical, 2)} between two entries is found four times in five"
    )
    most = max(sum(entry.key in headline.scores for entry in entries) for entries in panel.tracks.values()) - 1
    if most > 1:
        leading = statistics.median(pair.detectable(most) for pair in pairs)
        told += f"; bold, which is a lead over {most} others at once, needs one of about {significant(leading, 2)}"
    return (f"{told}.",)


def _gaps(missing: int, unbegun: int) -> tuple[str, ...]:
    have = "has" if missing == 1 else "have"
    return (
        *((f"{counted(missing, 'cell')} {have} no result: see below.",) if missing else ()),
        *((f"{counted(unbegun, 'cell')} of the plan not begun.",) if unbegun else ()),
    )


def _numbers(quantities: Iterable[Quantity]) -> Iterator[tuple[float | None, float | None, float | None]]:
    return ((quantity.value, quantity.low, quantity.high) for quantity in quantities)


def score_cells(panel: Panel, column: ScoreColumn, judgement: ColumnMarks) -> dict[str, TableCell]:
    places = column_decimals(_numbers(score.quantity for score in column.scores.values()))
    out = {}
    for entry in panel.entries:
        score = column.scores.get(entry.key)
        if score is None:
            elsewhere = next((c for c in panel.columns if c.metric == column.metric and entry.key in c.scores), None)
            why = f"judged otherwise: see {elsewhere.title}" if elsewhere else "not run: this entry was not scored"
            out[entry.key] = TableCell(None, NOTHING, notes=(why,))
            continue
        value, interval = written(score.quantity.value, score.quantity.low, score.quantity.high, places)
        if score.quantity.value is not None and column.signature.options.get("kind") == "bound":
            value = f"≤ {value}"
        mark = judgement.marks.get(entry.key, "")
        notes, quantity = _score_notes(column, score), score.quantity
        out[entry.key] = TableCell(quantity.value, value, interval, notes, mark, low=quantity.low, high=quantity.high)
    return out


def _score_notes(column: ScoreColumn, score: EntryScore) -> tuple[str, ...]:
    quantity = score.quantity
    notes = []
    if quantity.reason:
        notes.append(quantity.reason)
    if quantity.value is not None and quantity.n < score.total:
        notes.append(f"{column.title}: over {quantity.n:,} of {counted(score.total, 'text')}")
    return tuple(notes)


def speed_cells(
    panel: Panel, column: Column, of: Callable[[Entry], Quantity], judged: Callable[[Entry], Validity]
) -> dict[str, TableCell]:
    """The cells of a speed: one that is not valid is shown with the reason, and the others are ranked without it. What
    its verdict could not look at is a note."""
    told = {entry.key: judged(entry) for entry in panel.trained}
    ranked = {entry.key: of(entry) for entry in panel.trained if told[entry.key].valid}
    marks: dict[str, Mark] = mark_disjoint(ranked, column.direction)
    places = column_decimals(_numbers(of(entry) for entry in panel.trained))
    out = {}
    for entry in panel.entries:
        if not entry.trained:  # a few microseconds of Python say nothing; the legend says so
            out[entry.key] = TableCell(None, NOTHING)
            continue
        quantity = of(entry)
        value, interval = written(quantity.value, quantity.low, quantity.high, places)
        notes = [quantity.reason] if quantity.reason else []
        doubted = not told[entry.key].valid and quantity.value is not None
        if quantity.value is not None:
            # Without the column's name: what is said of several speeds is one note of them all.
            notes += told[entry.key].notes
        mark = marks.get(entry.key, "")
        ends = (quantity.low, quantity.high) if interval else (None, None)
        out[entry.key] = TableCell(quantity.value, value, interval, tuple(notes), mark, doubted, *ends)
    return out


def calls_cells(panel: Panel) -> dict[str, TableCell]:
    """Calls of the first network for one text, by entry."""
    cells = {entry.key: _calls_cell(entry) for entry in panel.entries}
    whole = all(cell.value is None or cell.value == int(cell.value) for cell in cells.values())
    return {
        key: cell if whole or cell.value is None else replace(cell, text=fixed(cell.value, 1))
        for key, cell in cells.items()
    }


def _calls_cell(entry: Entry) -> TableCell:
    if not entry.trained:
        return TableCell(0.0, "0")
    if entry.imported:
        return TableCell(None, NOTHING, notes=("not run: nobody counted the calls of texts from elsewhere",))
    if entry.calls.value is None:
        return TableCell(None, NOTHING, notes=("not run: no calls of its network were counted",))
    first, others = next(iter(entry.records[0].header.networks)), {n: c for n, c in entry.other_calls.items() if c}
    called = {name: display_network(name, entry.system, entry.title) for name in (first, *others)}
    besides = listed(f"{_count(c)} {'call' if c == 1 else 'calls'} of {called[name]}" for name, c in others.items())
    notes = [f"calls of {called[first]}; besides, for each text, {besides}"] if others else []
    together = entry.calls_together
    if together is not None and abs(together - entry.calls.value) > 0.005 * entry.calls.value:
        wait = f"in batches of up to {entry.batch_size} every text waits for {_count(together)}"
        notes.append(f"for a text made alone; {wait}")
    return TableCell(entry.calls.value, _count(entry.calls.value), notes=tuple(notes))


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else significant(value)


def plain_cells(
    panel: Panel, column: Column, of: Callable[[Entry], float | None]
) -> tuple[Column, dict[str, TableCell]]:
    """Numbers without an interval, with one number of decimals, under the unit prefix that suits most of them."""
    values = {entry.key: of(entry) for entry in panel.entries}
    if column.unit == "s":
        values |= {entry.key: 0.0 for entry in panel.for_scale}  # they look at the texts, and are not trained
    present = sorted(value for value in values.values() if value)
    middle = present[len(present) // 2] if present else 1.0
    scale, prefix = (1.0, "") if column.unit == "s" else next((p for p in PREFIXES if middle >= p[0]), (1.0, ""))
    headed = replace(column, unit=f"{prefix}{column.unit}" or "count", scale=scale)
    places = column_decimals((value / scale, None, None) for value in present) or 0  # nothing is 0, not 0.00
    untold = TableCell(None, NOTHING, notes=(f"not run: no record says the {column.title.lower()}",))
    return headed, {
        key: untold if value is None else TableCell(value, fixed(value / scale, places))
        for key, value in values.items()
    }
