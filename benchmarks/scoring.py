"""Score the texts of one cell from what is on disk: no model and no source is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks import store
from benchmarks.records import Header


def missing(folder: Path, metrics: Sequence[str]) -> tuple[str, ...]:
    """The metrics that were not tried on the cell yet, or whose evaluator was not there when they were."""
    absent = "missing evaluator"
    tried = {score.metric for score in store.read_scores(folder) if not (score.reason or "").startswith(absent)}
    return tuple(metric for metric in metrics if metric not in tried)


def score(run: Path, folder: Path, header: Header, metrics: Sequence[str], order: Sequence[str]) -> None:
    """Score a cell by some metrics and keep the scores of the others.

    Args:
        order: all metrics of the task; scores are written in this order.

    Raises:
        UserError: samples or documents are missing, or a metric is unknown.
    """
    from benchmarks import metrics as judges

    by_id = {document.id: document for document in store.read_documents(run, header.documents["test"]["sha256"])}
    samples = store.read_samples(folder)
    fresh = judges.score(
        header.cell.task,
        header.cell.source,
        [by_id[sample.id] for sample in samples],
        [sample.text for sample in samples],
        metrics,
    )
    scores = {old.metric: old for old in store.read_scores(folder)} | {new.metric: new for new in fresh}
    places = {metric: place for place, metric in enumerate(order)}
    store.write_scores(folder, sorted(scores.values(), key=lambda score: places.get(score.metric, len(places))))
