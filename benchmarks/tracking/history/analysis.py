"""A whole history: read, put into series, and each asked whether and where it changed."""

from __future__ import annotations

import gc
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines.contract import UserError, unknown
from benchmarks.stats import benjamini_hochberg
from benchmarks.tracking.history import bisecting, tables
from benchmarks.tracking.history.identity import About
from benchmarks.tracking.history.schema import Counts, FoundChange, History, Outcome, Series
from benchmarks.tracking.history.series import Numbers, numbers, series_of
from benchmarks.tracking.history.tree import Files, files_under
from cosmos.io.counting import agreeing
from cosmos.io.counting import counted as so_many

if TYPE_CHECKING:
    import duckdb

    from benchmarks.stats.changes import Change

LEVEL = 0.05
KINDS = ("scores", "timings", "micro")  # what is read besides headers
_MOST_SHUFFLES = 100_000


def read(
    base: duckdb.DuckDBPyConnection, folder: Path, kinds: Collection[str] = KINDS
) -> tuple[Files, dict[int, About], list[str]]:
    """Load headers, scores, timings and micro-benchmarks of a tree; what they are about, and what was left out.

    Args:
        kinds: those of `KINDS` whose files are read; the tables of others are empty.

    Raises:
        UserError: there is nothing, or it cannot be read.
    """
    files = files_under(folder)
    for kind in (kind for kind in KINDS if kind not in kinds):
        getattr(files, kind).clear()
    abouts, notes = tables.load_headers(base, files)
    notes += tables.load_scores(base, files)
    notes += tables.load_timings(base, files)
    tables.load_micro(base, files)
    if files.links:
        were = agreeing(files.links, "was", "were")
        notes.append(f"{so_many(files.links, 'symbolic link')} {were} not followed.")
    return files, abouts, [files.told(note) for note in notes]


def history(
    base: duckdb.DuckDBPyConnection, folder: Path, *, systems: Collection[str] = (), metrics: Collection[str] = ()
) -> History:
    """The history of all records under a folder.

    Args:
        base: an empty database (`tables.connected`), which has the tables of the tree afterwards.
        systems, metrics: those that are wanted; all if none.

    Raises:
        UserError: there is nothing, nothing of what is wanted, or it cannot be read.
    """
    with _kept():
        files, abouts, notes = read(base, folder)
        found = _narrowed(numbers(base, abouts, named=files.named), folder, systems, metrics)
        every, breaks, codes, clocks = series_of(found)
    judged, short = _judged(every)
    if short:
        notes.append(
            f"{short} of {len(every)} series have fewer than {_fewest()} points, too few for any change to be told; "
            "two runs are compared by: python -m benchmarks compare A B."
        )
    doubtful = {(p.run, p.place) for s in every if s.line.kind == "speed" for p in s.points if p.doubtful}
    if doubtful:
        notes.append(
            f"Timings of {so_many(len(doubtful), 'point')} are not valid by their verdict; they are drawn hollow, and "
            "no change is looked for among them."
        )
    if any(each.line.kind == "micro" for each in every):
        notes.append(
            "Micro-benchmarks are of a machine class of their own, since they say neither threads nor packages; "
            "beside the speeds of records on the same processor they are drawn, and not compared."
        )
    counted = Counts(
        files.runs, *(_count(base, name) for name in ("headers", "score_lines", "timing_lines", "micro_rows"))
    )
    return History(str(folder), judged, breaks, codes, counted, LEVEL, (*notes, *clocks))


@contextmanager
def _kept() -> Iterator[None]:
    """All objects that are built meanwhile are kept: to look for garbage among them took half of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _count(base: duckdb.DuckDBPyConnection, table: str) -> int:
    [[count]] = base.execute(f"select count(*) from {table}").fetchall()
    return int(count)


def _fewest() -> int:
    from benchmarks.stats.changes import FEWEST

    return FEWEST


def _narrowed(found: Numbers, folder: Path, systems: Collection[str], metrics: Collection[str]) -> Numbers:
    if not found.rows:
        raise UserError(f"No record under {folder} is done and whole; finish a run first.")
    known_systems = {row.line.system for row in found.rows}
    known_metrics = {row.line.metric for row in found.rows}
    for kind, wanted, known in (("system", systems, known_systems), ("metric", metrics, known_metrics)):
        for name in wanted:
            if name not in known:
                raise unknown(f"{kind} of {folder}", name, known)
    kept = [
        row
        for row in found.rows
        if (not systems or row.line.system in systems) and (not metrics or row.line.metric in metrics)
    ]
    if not kept:
        raise UserError(f"No system that was named has a metric that was named under {folder}; name others.")
    return replace(found, rows=kept)


def _judged(every: tuple[Series, ...]) -> tuple[tuple[Series, ...], int]:
    """The series with what changed in them, and how many are too short to tell."""
    from benchmarks.stats.changes import FEWEST, SHUFFLES, changes, unordered_p

    values = [_values(each) for each in every]
    long = [number for number, each in enumerate(every) if len(each.judged) >= FEWEST]
    shuffles = min(_MOST_SHUFFLES, max(SHUFFLES, int(len(long) / LEVEL)))
    p_values = {number: unordered_p(values[number], shuffles=shuffles) for number in long}
    adjusted = dict(zip(long, benjamini_hochberg([p_values[number] for number in long]), strict=True))
    judged = list(every)
    for number in long:
        p = p_values[number]
        found: tuple[FoundChange, ...] = ()
        if adjusted[number] <= LEVEL:
            said = changes(values[number], p, level=LEVEL, factor=max(1.0, adjusted[number] / p), shuffles=shuffles)
            found = tuple(_found(every[number], change) for change in said)
        judged[number] = replace(every[number], p=p, changes=found)
    return tuple(judged), len(every) - len(long)


def _values(series: Series) -> np.ndarray:
    values = np.array([point.value for point in series.judged])
    return values if series.line.kind == "quality" else np.log(values)


def _found(series: Series, change: Change) -> FoundChange:
    line, points = series.line, series.judged
    before, after = change.before, change.after
    said = change.difference, change.low, change.high
    if line.kind != "quality":
        before, after = math.exp(before), math.exp(after)
        said = tuple(math.expm1(value) for value in said)  # type: ignore[assignment]
    better = (after > before) == (line.direction == "higher")
    outcome: Outcome = "changed" if line.direction == "none" else "better" if better else "worse"
    bisect, why_none = bisecting.commands(line, points, change.first, change.last, before, after)
    return FoundChange(
        change.index, change.first, change.last, change.p, before, after, *said, outcome, bisect, why_none
    )
