"""What trackers are told at the end: scores, timings and costs, as numbers with names, of every training of a run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from pathlib import Path

from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.trackers.tracking import Trackable, Tracking


def tell_outcomes(tracking: Tracking, run: Path) -> None:
    """Tell a tracker what the records of a run hold; what it was told before it is not told again."""
    by_training: dict[str, list[Record]] = {}
    for record in store.read_run(run):
        if record.header.status == "done":
            by_training.setdefault(record.header.cell.checkpoint_id, []).append(record)
    for records in by_training.values():
        tracking.tell(Trackable.of(run, records[0].header.cell), numbers(records))


def numbers(records: Iterable[Record]) -> dict[str, float]:
    """Scores, timings and costs of cells that share a training: `scores/SETTING/METRIC`, `timings/SETTING/...`,
    `training/...`."""
    told: dict[str, float | None] = {}
    for record in records:
        setting, training = record.header.cell.setting, record.header.training
        told |= {f"scores/{setting}/{score.metric}": score.value for score in record.scores}
        batches = [timing for timing in record.timings if timing.kind == "batch"]
        singles = [timing.seconds for timing in record.timings if timing.kind == "latency"]
        if seconds := math.fsum(timing.seconds for timing in batches):
            told[f"timings/{setting}/texts_per_second"] = sum(len(timing.ids) for timing in batches) / seconds
        if batches:
            told[f"timings/{setting}/valid"] = float(record.header.verdict.get("valid") is True)
        if singles:
            told[f"timings/{setting}/latency_ms"] = 1000 * statistics.median(singles)
        if training is not None and training.steps:
            told |= {f"training/{name}": getattr(training, name) for name in ("steps", "seconds", "flops")}
    return {name: float(value) for name, value in told.items() if value is not None and math.isfinite(value)}
