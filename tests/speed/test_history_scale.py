"""What a history of many records costs, in units of `calibration`: 100,000 scores, and 10,000 cells.

100,000 scores, with their headers and the timings beside them, are read and put into series in 80,000 units: four
seconds of one processor that adds a thousand numbers in fifty microseconds, more than half of which DuckDB shares among
those that there are. 53,000 were measured.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.tracking.history import analysis, query, tables
from benchmarks.tracking.history.series import numbers, series_of

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks/tracking"))
from calibration import unit
from history_trees import commit_of, record, score

pytestmark = pytest.mark.slow

RUNS, ENTRIES, METRICS = 420, 10, 24
UNITS = 80_000  # 100,000 scores
READ_UNITS_10_000 = 250_000


def read(folder: Path) -> tuple[int, int]:
    base = tables.connected()
    with analysis._kept():
        _, abouts, notes = analysis.read(base, folder)
        found = numbers(base, abouts)
        every, *_ = series_of(found)
    assert notes == []
    return len(found.rows), len(every)


def test_a_hundred_thousand_scores_are_read_and_put_into_series(tmp_path: Path) -> None:
    for run in range(RUNS):
        for entry in range(ENTRIES):
            scores = [score(f"metric_{n}", (run * 7 + entry * 3 + n) % 11 / 11) for n in range(METRICS)]
            record(
                tmp_path / f"run{run}", commit=commit_of(run), day=run, scores=scores, seconds=[1.0] * 5,
                latency=[0.1] * 10, system=f"system-{entry}",
            )  # fmt: skip
    read(tmp_path)  # files are in memory then
    beside = min(unit() for _ in range(9))
    spent = []
    for _ in range(3):
        started, clock = time.process_time(), time.perf_counter()
        assert read(tmp_path) == (RUNS * ENTRIES * (METRICS + 2), ENTRIES * (METRICS + 2))
        spent.append((time.process_time() - started, time.perf_counter() - clock))
    seconds, by_the_clock = min(spent)
    print(f"{RUNS * ENTRIES * METRICS:,} scores: {seconds:.2f} s of processors, {by_the_clock:.2f} s by the clock")
    assert seconds < UNITS * beside
    started, base = time.process_time(), tables.connected()
    query.opened(base, tmp_path, "SELECT count(*) FROM scores")
    [[count]] = base.sql("SELECT count(*) FROM scores").fetchall()
    assert count == RUNS * ENTRIES * METRICS
    assert time.process_time() - started < UNITS * beside


def test_ten_thousand_different_cells_are_right(tmp_path: Path) -> None:
    for number in range(10_000):
        record(
            tmp_path / f"run{number // 100}", commit=commit_of(number % 10), day=number % 10,
            scores={"exact_j": number / 10_000}, system=f"system-{number // 10}", seed=number % 10,
        )  # fmt: skip
    beside = min(unit() for _ in range(9))
    started = time.process_time()
    rows, series = read(tmp_path)
    # Each cell has a seed of its own, and each system one in each of ten commits: no two may be compared.
    assert (rows, series) == (10_000, 10_000)
    assert time.process_time() - started < READ_UNITS_10_000 * beside
