"""Score the texts of one cell from what is on disk: no system, no checkpoint and no source is needed.

What models said of texts and finished scores are kept in the user's cache, so a scoring that was cut short goes on, and
a second one is done at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.contract import UserError
from benchmarks.progress import ProgressReporter, Silent, beating
from benchmarks.records import run_texts, store
from benchmarks.records.schema import FORM, Header, Score
from benchmarks.running.cell_status import label
from cosmos.text import round_trip
from cosmos.text.round_trip import RoundTrip

if TYPE_CHECKING:
    from benchmarks.metrics import MetricInput
    from benchmarks.metrics.core.selection import Selection

_CACHE = "scores"


def check_cache() -> None:
    """Raise `UserError` where scores could not be kept; imports no metric library."""
    from benchmarks import evaluators as judges
    from benchmarks.metrics.core import cache

    cache.check(judges.cache_folder() / _CACHE)


def missing(folder: Path, asked: Selection, source: str) -> tuple[str, ...]:
    """The metrics that were not tried on the cell yet, or by another judge, or on texts of another form, or that had
    none when they were.

    One that was not run for another reason is tried again where it is asked for by name.
    """
    from benchmarks import metrics

    run, header = folder.parent.parent, store.read_header(folder)
    through = None if header is None else normaliser_of(run, header)
    tried = {}
    for score in store.read_scores(folder):
        status = (score.reason or "").partition(":")[0]
        if status != "missing evaluator" and not (status == "not run" and score.metric in asked.asked):
            tried[score.metric] = (score.signature.evaluator, score.signature.form)

    def wanted(name: str) -> tuple[str, str]:
        judge = metrics.judge_of(name, source, asked.evaluators)
        return judge, metrics.form_of(metrics.find(name), through)

    return tuple(name for name in asked.metrics if tried.get(name) != wanted(name))


def normaliser_of(run: Path, header: Header) -> RoundTrip:
    """The round trip through the tokenizer that a run's systems share: all texts go through it before they are scored.

    Cells of earlier versions do not say which tokenizer that was: the packaged one.

    Raises:
        UserError: the run has lost its tokenizer, and the encoder is not on this machine either.
    """
    return _round_trip(run, header.cell.tokenizer, header.tokenizer.get("sha256"))


@functools.lru_cache(maxsize=4)
def _round_trip(run: Path, name: str | None, sha256: str | None) -> RoundTrip:
    if sha256 is None:
        return round_trip.find(name)
    if not run_texts.has_tokenizer(run, sha256):
        installed = _on_this_machine(name)
        if installed is not None and installed.sha256 == sha256:
            return installed
    return RoundTrip(run_texts.read_tokenizer(run, sha256))


def _on_this_machine(name: str | None) -> RoundTrip | None:
    try:
        return round_trip.find(name)
    except UserError:
        return None


def score(
    run: Path,
    folder: Path,
    header: Header,
    asked: Selection,
    metrics: Sequence[str] | None = None,
    *,
    voice: ProgressReporter | None = None,
) -> None:
    """Score a cell and keep the scores by other metrics.

    Args:
        metrics: some of those asked for; all of them if None.
        voice: who hears by which metric it is scored, and how far that is; nobody if None.

    Raises:
        UserError: samples or documents are missing or were changed, or the cache cannot be used.
    """
    from benchmarks import evaluators as judges
    from benchmarks import metrics as judgement

    batch = batch_of(run, folder, header, asked.device)
    names = asked.metrics if metrics is None else metrics

    stage = f"scoring {label(header.cell)}"

    def judged(those: MetricInput) -> list[Score]:
        cache = judges.cache_folder() / _CACHE
        return judgement.score(
            those,
            names,
            cache=cache,
            evaluators=asked.evaluators,
            sparing=asked.sparing,
            progress=lambda metric, share: beat.at(f"{stage} by {metric}", share),
        )

    with beating(voice or Silent(), stage) as beat:
        _keep(folder, batch, asked, names, judged)


def _keep(
    folder: Path,
    batch: MetricInput,
    asked: Selection,
    names: Sequence[str],
    judged: Callable[[MetricInput], list[Score]],
) -> None:
    """Judge the texts of a cell, and write the scores beside those by other metrics."""
    fresh = judged(batch)
    old = {score.metric: score for score in store.read_scores(folder)}
    merged = old | {new.metric: new for new in fresh if not _spared(new, old.get(new.metric))}
    places = {metric: place for place, metric in enumerate(asked.order)}
    store.write_scores(folder, sorted(merged.values(), key=lambda score: places.get(score.metric, len(places))))
    if batch.texts == [document.target for document in batch.documents]:
        had = store.read_as_written(folder)
        scores = [*(score for score in had if score.metric not in names), *_as_written(batch, judged)]
        if scores or had:
            store.write_as_written(folder, sorted(scores, key=lambda score: places.get(score.metric, len(places))))


def batch_of(run: Path, folder: Path, header: Header, device: str) -> MetricInput:
    """The texts of a cell as metrics take them.

    Raises:
        UserError: samples or documents are missing or were changed.
    """
    from benchmarks.metrics import MetricInput

    store.check_record(folder, header)
    samples = store.read_samples(folder)
    documents = run_texts.documents_of(run, header, samples)
    train = header.documents.get("train")
    likelihoods = store.read_likelihoods(folder)
    if likelihoods is not None and [row.id for row in likelihoods] != [sample.id for sample in samples]:
        raise UserError(f"{folder / store.LIKELIHOODS} is of other documents; delete {folder} and run again.")
    return MetricInput(
        header.cell.task,
        header.cell.source,
        documents,
        [sample.text for sample in samples],
        device=device,
        training=None if train is None else run_texts.read_learnt(run, train["sha256"], train.get("targets")),
        normaliser=normaliser_of(run, header),
        samples=samples,
        likelihoods=likelihoods,
        no_likelihood=header.no_likelihood,
    )


def _as_written(batch: MetricInput, judged: Callable[[MetricInput], list[Score]]) -> list[Score]:
    """What references score against references as they were written: as they were, and after the round trip.

    Only where that differs: what a normal form keeps from every system, and what it would have cost them.
    """
    normaliser = batch.normaliser
    assert normaliser is not None
    through = list(normaliser(batch.texts))
    if through == batch.texts:
        return []
    out: list[Score] = []
    plain = replace(batch, normaliser=None)
    for before, after in zip(judged(plain), judged(replace(plain, texts=through)), strict=True):
        if before.value is not None and after.value is not None and before.value != after.value:
            out += [_in_form(before, "as written"), _in_form(after, f"{normaliser.form}, against as written")]
    return out


def _in_form(score: Score, form: str) -> Score:
    return replace(score, signature=replace(score.signature, options={**score.signature.options, FORM: form}))


def _spared(new: Score, old: Score | None) -> bool:
    """Whether a score that was not run now was had before, by the same judge."""
    return (
        (new.reason or "").startswith("not run")
        and old is not None
        and old.value is not None
        and old.signature.evaluator == new.signature.evaluator
        and old.signature.form == new.signature.form
    )
