"""Score the texts of one cell from what is on disk: no system, no checkpoint and no source is needed.

What models said of texts and finished scores are kept in the user's cache, so a scoring that was cut short goes on, and
a second one is done at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.contract import UserError
from benchmarks.records import store
from benchmarks.records.schema import Header, Score

if TYPE_CHECKING:
    from benchmarks.metrics.core.selection import Selection

_CACHE = "scores"


def missing(folder: Path, asked: Selection, source: str) -> tuple[str, ...]:
    """The metrics that were not tried on the cell yet, or by another judge, or that had none when they were.

    One that was not run for another reason is tried again where it is asked for by name.
    """
    from benchmarks import metrics

    tried = {}
    for score in store.read_scores(folder):
        status = (score.reason or "").partition(":")[0]
        if status != "missing evaluator" and not (status == "not run" and score.metric in asked.asked):
            tried[score.metric] = score.signature.evaluator
    return tuple(m for m in asked.metrics if tried.get(m) != metrics.judge_of(m, source, asked.evaluators))


def score(run: Path, folder: Path, header: Header, asked: Selection, metrics: Sequence[str] | None = None) -> None:
    """Score a cell and keep the scores by other metrics.

    Args:
        metrics: some of those asked for; all of them if None.

    Raises:
        UserError: samples or documents are missing, or the cache cannot be used.
    """
    from benchmarks import evaluators as judges
    from benchmarks import metrics as judgement

    by_id = {document.id: document for document in store.read_documents(run, header.documents["test"]["sha256"])}
    samples = store.read_samples(folder)
    train = header.documents.get("train")
    likelihoods = store.read_likelihoods(folder)
    if likelihoods is not None and [row.id for row in likelihoods] != [sample.id for sample in samples]:
        raise UserError(f"{folder / store.LIKELIHOODS} is of other documents; delete {folder} and run again.")
    batch = judgement.MetricInput(
        header.cell.task,
        header.cell.source,
        [by_id[sample.id] for sample in samples],
        [sample.text for sample in samples],
        device=asked.device,
        training=None if train is None else store.read_learnt(run, train["sha256"]),
        likelihoods=likelihoods,
        no_likelihood=header.no_likelihood,
    )
    fresh = judgement.score(
        batch,
        asked.metrics if metrics is None else metrics,
        cache=judges.cache_folder() / _CACHE,
        evaluators=asked.evaluators,
        sparing=asked.sparing,
    )
    old = {score.metric: score for score in store.read_scores(folder)}
    merged = old | {new.metric: new for new in fresh if not _spared(new, old.get(new.metric))}
    places = {metric: place for place, metric in enumerate(asked.order)}
    store.write_scores(folder, sorted(merged.values(), key=lambda score: places.get(score.metric, len(places))))


def _spared(new: Score, old: Score | None) -> bool:
    """Whether a score that was not run now was had before, by the same judge."""
    return (
        (new.reason or "").startswith("not run")
        and old is not None
        and old.value is not None
        and old.signature.evaluator == new.signature.evaluator
    )
