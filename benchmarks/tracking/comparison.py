"""Side B against side A: every quantity of every entry, with one correction for all tests that are made together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from baselines.contract import UserError, unknown
from benchmarks.tracking import corpus, quality, seeds, speed, training_noise
from benchmarks.tracking.judging import Judge
from benchmarks.tracking.pairs import EntryPair, match, summed_up
from benchmarks.tracking.rows import corrected
from benchmarks.tracking.schema import ComparedEntry, ComparedQuantity, RunComparison
from benchmarks.tracking.sides import Side


def compare(a: Side, b: Side, *, metrics: Collection[str] = (), device: str = "cpu") -> RunComparison:
    """Compare two sides; what is said is of B, against A.

    Args:
        metrics: the quantities that are asked for (metrics, "calls", "latency", "throughput"); all if none. Fewer
            share the level of 5 %, so that less is lost to the correction.
        device: where models judge, should a corpus score have to be resampled with one.

    Raises:
        UserError: a quantity is unknown, or nothing can be compared; the message names what differs.
    """
    pairs, refused = match(a, b)
    if not pairs:
        raise UserError(f"Nothing of {b.text} can be compared with {a.text}: {' '.join(summed_up(refused))}")
    _check_names(pairs, metrics)
    judge = Judge(device, frozenset(metrics))
    found = [_entry(pair, metrics, judge) for pair in pairs]
    if not any(entry.quantities or entry.notes for entry in found):
        reasons = dict.fromkeys(reason for entry in found for reason in entry.refused)
        said = "; ".join(reasons) or "the sides have no quantity in common"
        raise UserError(f"Nothing of {b.text} can be compared with {a.text}: {said}.")
    panels = list(dict.fromkeys(entry.panel for entry in found))
    rows = [[row for entry in found if entry.panel == panel for row in entry.quantities] for panel in panels]
    remaining = {panel: iter(those) for panel, those in zip(panels, corrected(rows), strict=True)}
    entries = tuple(
        replace(entry, quantities=tuple(next(remaining[entry.panel]) for _ in entry.quantities)) for entry in found
    )
    notes = (*a.notes, *(note for note in b.notes if note not in a.notes))
    return RunComparison(a.about, b.about, entries, summed_up(refused), _correction(rows), notes)


def _check_names(pairs: Collection[EntryPair], metrics: Collection[str]) -> None:
    known = {name for pair in pairs for name in quality.metric_names(pair)}
    for name in metrics:
        if name not in known | {"calls", speed.LATENCY, speed.THROUGHPUT}:
            raise unknown("quantity of both sides", name, sorted(known | {"calls", speed.LATENCY, speed.THROUGHPUT}))


def _entry(pair: EntryPair, metrics: Collection[str], judge: Judge) -> ComparedEntry:
    """An entry with rows that are not corrected yet."""
    rows: list[ComparedQuantity] = []
    refused: list[str] = []
    names = quality.metric_names(pair, metrics)
    empty = [name for name in names if quality.without_value(pair, name)]
    for metric in (name for name in names if name not in empty):
        reason = quality.refusal(pair, metric)
        if reason is None:
            row = quality.text_row(pair, metric) or corpus.corpus_row(pair, metric, judge)
            rows.append(replace(row, declared=quality.declared_title(pair, metric)))
        else:
            refused.append(reason)
    if not metrics or "calls" in metrics:
        rows += filter(None, [quality.calls_row(pair)])
    timed, doubtful = speed.speed_rows(pair)
    rows += [row for row in timed if not metrics or row.quantity in metrics]
    refused += [reason for reason in doubtful if not metrics or _named(reason, metrics)]
    refused += [] if metrics else quality.on_one_side(pair)
    refused += [f"{', '.join(empty)}: no value on either side"] if empty else []
    notes = []
    trained = seeds.is_trained(pair.a) or seeds.is_trained(pair.b)
    if quality.same_texts(pair):
        notes.append("Both sides wrote the same texts.")
        if not trained and not metrics and all(row.a == row.b for row in rows):
            rows = []  # a floor that is what it was: no test is spent on it unasked
    if rows and trained and not seeds.covered(pair):
        notes.append(training_noise.not_covered(pair.b.header.cell, {row.quantity for row in rows}))
    cell = pair.b.header.cell
    return ComparedEntry(
        name=pair.name,
        title=pair.title,
        task=cell.task,
        source=cell.source,
        documents=pair.b.documents,
        cells_a=tuple(each.header.cell.id for each in pair.a.cells),
        cells_b=tuple(each.header.cell.id for each in pair.b.cells),
        seeds_a=pair.a.seeds,
        seeds_b=pair.b.seeds,
        differs=pair.differs,
        refused=tuple(refused),
        quantities=tuple(rows),
        notes=tuple(notes),
    )


def _named(reason: str, metrics: Collection[str]) -> bool:
    """Whether a refusal is of a speed that was asked for."""
    heads = {name.strip().partition("@")[0] for name in reason.partition(":")[0].split(",")}
    speeds = {speed.LATENCY, speed.THROUGHPUT} & set(metrics)
    return bool(heads & speeds) or ("speed" in heads and bool(speeds))


def _correction(tables: list[list[ComparedQuantity]]) -> str:
    """How the tests are corrected, in a sentence."""
    counts = [sum(row.evidence is not None for row in table) for table in tables]
    tests, filled = sum(counts), sum(count > 0 for count in counts)
    if filled < 2:
        return f"{tests} tests in one table, corrected together by Holm's method, at the 5 % level."
    return (
        f"{tests} tests in {filled} tables, a sweep: Holm's method within a table (all entries and quantities of one "
        "task, source and set of documents), and across tables that of Benjamini and Hochberg, as Benjamini and "
        "Bogomolov (2014) put the two together, at the 5 % level."
    )
