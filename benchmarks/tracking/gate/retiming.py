"""What is slower by its records than its baseline's, timed again in fresh processes: the same calls that the baseline
recorded."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.stats.evidence import StudentEvidence
from benchmarks.tracking.gate.interleaving import Design
from benchmarks.tracking.gate.side_process import StartSide, TimingJob
from benchmarks.tracking.sides import StoredCell

_MOST_CALLS = 10


def recorded_calls(baseline: StoredCell, job: TimingJob, size: int) -> Iterator[tuple[int, float]]:
    """The first calls of a cell for so many texts at once, of texts that follow each other: where those begin among the
    requests, and the seconds."""
    places = {request["id"]: place for place, request in enumerate(job.requests)}
    kind = "latency" if size == 1 else "batch"
    calls = [t for t in baseline.record.timings if t.kind == kind and len(t.ids) == size and t.seconds > 0]
    for timing in calls[:_MOST_CALLS]:
        start = places.get(timing.ids[0], 0)
        if [request["id"] for request in job.requests[start : start + size]] == list(timing.ids):
            yield start, timing.seconds


def against_records(
    baseline: StoredCell, job: TimingJob, size: int, design: Design, start: StartSide
) -> StudentEvidence | None:
    """The ratio of the seconds of fresh processes to those that the baseline recorded; None where it has no such calls.

    How the baseline's own process would differ from another is not in the interval, for there is but its record.

    Raises:
        UserError: the code of the run cannot be started or fails.
    """
    calls = list(recorded_calls(baseline, job, size))
    if not calls:
        return None
    ratios = []
    for _ in range(design.processes):
        with start(job) as side:
            logs = [math.log(side.seconds(size, place) / seconds) for place, seconds in calls]
        ratios.append(statistics.median(logs))
    mean = math.fsum(ratios) / len(ratios)
    return StudentEvidence(mean, float(np.var(ratios, ddof=1)) / len(ratios), len(ratios) - 1, ratio=True)
