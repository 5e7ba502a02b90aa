"""One form for all texts that are compared, so that no metric sees a difference that no system of a run could write."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.metrics.core.metric import Metric, MetricInput, Normaliser

AS_WRITTEN = "as written"
"""The form of texts that went through nothing, in signatures of runs where others do."""


def form_of(metric: Metric, normaliser: Normaliser | None) -> str:
    """What the signature of a metric's scores says of the form of texts; nothing where there is but one."""
    if normaliser is None:
        return ""
    return AS_WRITTEN if metric.form == "as written" else normaliser.form


def normalised(batch: MetricInput) -> MetricInput:
    """A batch whose texts and documents went through its normaliser. Training texts are left out until asked for."""
    normaliser = batch.normaliser
    assert normaliser is not None
    documents = batch.documents
    parts = [part for d in documents for part in (d.source or "", d.target, *d.references)]
    remaining = iter(normaliser(parts))
    through = []
    for document in documents:
        source, target = next(remaining), next(remaining)
        references = tuple(next(remaining) for _ in document.references)
        through.append(
            replace(document, source=None if document.source is None else source, target=target, references=references)
        )
    return replace(batch, documents=through, texts=list(normaliser(batch.texts)), training=None, memo={})


def normalised_training(batch: MetricInput) -> Sequence[str] | None:
    """The training texts of a batch after its normaliser; the same ones for every system of a run, so they are kept."""
    assert batch.normaliser is not None
    if batch.training is None:
        return None
    return _through(batch.normaliser, tuple(batch.training))


@functools.lru_cache(maxsize=1)
def _through(normaliser: Normaliser, training: tuple[str, ...]) -> Sequence[str]:
    return normaliser(training)
