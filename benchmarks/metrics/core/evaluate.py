"""From texts to scores: run each metric's evaluator, multiply products, draw intervals, sign, keep.

A score that cannot be had is null with a reason and takes no other score with it.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import evaluators as judges
from benchmarks.metrics.core.cache import Scores, Vectors, code_hash, texts_hash
from benchmarks.metrics.core.metric import Absent, Availability, Evaluator, Measured, Metric, MetricInput
from benchmarks.metrics.core.metric_names import find, names
from benchmarks.metrics.core.metric_titles import metric_title
from benchmarks.metrics.core.normalisation import form_of, normalised, normalised_training
from benchmarks.metrics.core.signature import judge, sign, sign_product
from benchmarks.records.schema import Score, Signature, identity
from cosmos.io.counting import counted

DIGITS = 6
"""Decimals kept in scores, so that records are the same on machines whose last bits differ."""

LARGE_MEGABYTES = 200.0
"""Weights from which a model takes a tenth of a second for a text and more without a GPU: MiniLM is below, every causal
language model and classifier of the catalogue above."""

REASONS = ("not run: ", "missing evaluator: ", "failed: ", "too few: ")
"""How the reason of a score that is null begins."""


def score(
    batch: MetricInput,
    metrics: Sequence[str],
    *,
    cache: Path | None = None,
    evaluators: Mapping[str, str] | None = None,
    sparing: Collection[str] = (),
    progress: Callable[[str, float], None] | None = None,
) -> list[Score]:
    """Score the texts of a batch, one `Score` per metric, in order. No generator is loaded.

    Args:
        cache: folder in which finished scores, and what models said of each text, are kept and found again, so that a
            scoring that was cut short goes on and a second one is done at once; None keeps nothing.
        evaluators: role -> name or folder of the model that takes it (`benchmarks.evaluators.ROLES`).
        sparing: metrics that are not run where that would take a large model without a GPU, and no score is kept.
        progress: hears the metric at work and the share of it that is done, 0 where that is not known.

    Raises:
        UserError: an unknown metric or role, a folder that is not there, or a cache that cannot be used; before any
            work.
    """
    documents, texts = len(batch.documents), len(batch.texts)
    assert documents == texts, f"{texts} texts for {documents} documents"
    asked = [find(name) for name in metrics]
    models = dict(evaluators or {})
    judges.check(models)
    said = progress or (lambda name, share: None)
    at_work = [""]  # the metric
    vectors = Vectors(cache, lambda share: said(at_work[0], share))
    scoring = _Scoring(replace(batch, vectors=vectors, memo={}), models, Scores(cache), frozenset(sparing))
    scores = []
    for metric in asked:
        at_work[0] = metric.name
        said(metric.name, 0.0)
        scores.append(scoring.score(metric))
    return scores


def finder(
    batch: MetricInput, *, cache: Path | None = None, evaluators: Mapping[str, str] | None = None
) -> Callable[[str, bool], tuple[Measured, Score]]:
    """A function that says what a metric's evaluator finds in a batch, with all that resampling takes, and the score
    that comes of it; its arguments are the metric's name, and whether a large model without a GPU is not run. It raises
    `Absent` where nothing is found, with the reason."""
    scoring = _Scoring(
        replace(batch, vectors=Vectors(cache), memo={}), dict(evaluators or {}), Scores(None), frozenset()
    )
    return lambda name, spare: scoring.found(find(name), spare)


def available(source_name: str, evaluators: Mapping[str, str] | None = None) -> list[Availability]:
    """For every metric whether it works here on texts of this source, who would judge, and what to do if nobody can."""
    return [_available(find(name), source_name, evaluators or {}) for name in names()]


def judge_of(name: str, source_name: str, evaluators: Mapping[str, str] | None = None) -> str:
    """Who would judge by a metric, as the signature of its scores says it."""
    return _available(find(name), source_name, evaluators or {}).evaluator


def expand(metrics: Sequence[str]) -> list[str]:
    """The metrics in order, each followed by those without which it must not be shown, none twice."""
    out: dict[str, None] = {}
    for name in metrics:
        out.update(dict.fromkeys([name, *find(name).companions]))
    return list(out)


@dataclass(frozen=True)
class _Outcome:
    """What became of a metric: measured, or the reason why not."""

    signature: Signature
    measured: Measured = field(default_factory=Measured)
    reason: str | None = None


class _Scoring:
    """The scores of one batch so far."""

    def __init__(self, batch: MetricInput, models: Mapping[str, str], cache: Scores, sparing: Collection[str]) -> None:
        self.batch, self.models, self.cache, self.sparing = batch, models, cache, sparing
        self.done: dict[str, Score] = {}
        self.inputs: dict[tuple[str, bool], str] = {}
        self.through: MetricInput | None = None

    def score(self, metric: Metric) -> Score:
        if metric.name not in self.done:
            self.done[metric.name] = self._product(metric) if metric.parts else self._single(metric)
        return self.done[metric.name]

    def _single(self, metric: Metric) -> Score:
        evaluator = metric.evaluator(self.batch.source)
        hint = _hint(metric, evaluator, self.models)
        if hint or evaluator is None:
            return self._finish(metric, _Outcome(self._sign(metric, evaluator), reason=hint))
        models = {role: _present(judges.find(role, self.models)) for role in evaluator.models}
        key = self._key(metric, evaluator, models)
        outcome = self.cache.get(key)
        if outcome is None and metric.name in self.sparing and (reason := self._costly(metric.name, models)):
            return self._finish(metric, _Outcome(self._sign(metric, evaluator, models=models), reason=reason))
        if outcome is None:
            outcome = self._measure(metric, evaluator, models)
            if outcome.value is not None:
                self.cache.put(key, outcome)
        return outcome

    def _costly(self, name: str, models: Mapping[str, judges.Located]) -> str:
        """Why a metric takes too long to be run unasked, or nothing if it does not."""
        large = {model.name: model.megabytes for model in models.values() if model.megabytes > LARGE_MEGABYTES}
        if not large or self.batch.device != "cpu":
            return ""
        said = " and ".join(f"{model} ({size:,.0f} MB)" for model, size in large.items())
        return f"not run: {said} takes minutes for a thousand texts without a GPU; ask for it with --metric {name}"

    def _key(self, metric: Metric, evaluator: Evaluator, models: Mapping[str, judges.Located]) -> str:
        """The identity of everything that a score depends on."""
        located = {role: [model.name, model.state] for role, model in models.items()}
        form = form_of(metric, self.batch.normaliser)
        parts: list[object] = [
            metric.name,
            metric.version,
            evaluator.name(),
            located,
            code_hash(evaluator.measure),
            form,
        ]
        rows = self.batch.likelihoods if evaluator.likelihoods else None
        if rows is not None:
            parts.append([[row.id, row.nats, row.tokens, row.kind, row.draws] for row in rows])
        if evaluator.samples and self.batch.samples is not None:
            parts.append([[sample.finished, sample.entropy] for sample in self.batch.samples])
        return identity([*parts, self._inputs(metric, evaluator.training)])

    def _sign(
        self,
        metric: Metric,
        evaluator: Evaluator | None,
        measured: Measured | None = None,
        models: Mapping[str, judges.Located] | None = None,
    ) -> Signature:
        return sign(metric, evaluator, measured, models, form_of(metric, self.batch.normaliser))

    def _seen(self, metric: Metric, with_training: bool) -> MetricInput:
        """The texts in the form in which a metric sees them."""
        if self.batch.normaliser is None or metric.form == "as written":
            return self.batch
        if self.through is None:
            self.through = normalised(self.batch)
        if with_training and self.through.training is None:
            self.through = replace(self.through, training=normalised_training(self.batch))
        return self.through

    def _inputs(self, metric: Metric, with_training: bool) -> str:
        """What the texts hash to, worked out once for each form."""
        key = (metric.form, with_training)
        if key not in self.inputs:
            batch = self._seen(metric, with_training)
            asked = [
                part
                for document in batch.documents
                for part in (document.id, document.source or "", document.target, *document.references)
            ]
            learnt = batch.training if with_training else None
            parts = [texts_hash(asked), texts_hash(batch.texts), None if learnt is None else texts_hash(learnt)]
            shape = [len(document.references) for document in batch.documents]
            self.inputs[key] = identity([batch.task, batch.source, batch.seed, shape, *parts])
        return self.inputs[key]

    def found(self, metric: Metric, spare: bool) -> tuple[Measured, Score]:
        evaluator = metric.evaluator(self.batch.source)
        hint = _hint(metric, evaluator, self.models)
        if hint or evaluator is None:
            raise Absent(hint or f"not run: {metric.name} has no evaluator of its own")
        models = {role: _present(judges.find(role, self.models)) for role in evaluator.models}
        if spare and (reason := self._costly(metric.name, models)):
            raise Absent(reason)
        measured, score = self._tried(metric, evaluator, models)
        if score.reason is not None:
            raise Absent(score.reason)
        return measured, score

    def _measure(self, metric: Metric, evaluator: Evaluator, models: Mapping[str, judges.Located]) -> Score:
        return self._tried(metric, evaluator, models)[1]

    def _tried(
        self, metric: Metric, evaluator: Evaluator, models: Mapping[str, judges.Located]
    ) -> tuple[Measured, Score]:
        unsigned = self._sign(metric, evaluator, models=models)

        def null(reason: str) -> tuple[Measured, Score]:
            return Measured(), self._finish(metric, _Outcome(unsigned, reason=reason))

        if not self.batch.texts:
            return null("too few: there is no text, and one is needed")
        if evaluator.training and self.batch.training is None:
            return null("not run: the texts that the system learnt from were not given")
        try:
            measured = evaluator.measure(replace(self._seen(metric, evaluator.training), models=models))
            return measured, self._finish(metric, _Outcome(self._sign(metric, evaluator, measured, models), measured))
        except Absent as absent:
            classified = str(absent).startswith(REASONS)
            return null(str(absent) if classified else f"failed: it gives no known reason: {absent}")
        except Exception as error:  # whatever breaks in a library must not lose the other scores, and is shown here
            return null(f"failed: {type(error).__name__}: {' '.join(str(error).split())}")

    def _product(self, metric: Metric) -> Score:
        """The product of the parts of each text; null where a part is null, with the part's own reason."""
        parts = [self.score(find(name)) for name in metric.parts]
        form = form_of(metric, self.batch.normaliser)
        signature = sign_product(metric, [part.signature for part in parts], form)
        missing = [(part.metric, part.reason) for part in parts if part.reason]
        if missing:
            return self._finish(metric, _Outcome(signature, reason=_missing_parts(metric.name, missing)))
        corpus = [part.metric for part in parts if part.values is None]
        if corpus:
            reason = f"failed: {' and '.join(corpus)} cannot be multiplied text by text, being of the whole corpus"
            return self._finish(metric, _Outcome(signature, reason=reason))
        columns = [part.values for part in parts if part.values is not None]
        values = tuple(_multiply(row) for row in zip(*columns, strict=True))
        return self._finish(metric, _Outcome(signature, Measured(values=values)))

    def _finish(self, metric: Metric, outcome: _Outcome) -> Score:
        measured, total = outcome.measured, len(self.batch.texts)
        value, n, limits, values = None, 0, None, None
        if outcome.reason is None:
            if measured.values is not None:
                if len(measured.values) != total:
                    raise ValueError(f"{metric.name} gave {len(measured.values)} scores for {total} texts")
                values = tuple(None if v is None else round(float(v), DIGITS) for v in measured.values)
            value, n, limits = _summarise(measured, values, total, self.batch.seed)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{metric.name} came out as {value}, which is no number")
            if limits is not None and not all(map(math.isfinite, limits)):
                raise ValueError(f"{metric.name} has no number as a limit")
        reason = outcome.reason
        if reason is None and value is None:
            reason = f"too few: none of {counted(total, 'text')} could be judged"
        assert reason is None or reason.startswith(REASONS), f"{metric.name} gives no known reason: {reason}"
        low, high, level = limits or (None, None, None)
        return Score(
            metric=metric.name,
            value=None if value is None else round(value, DIGITS),
            low=None if low is None else round(low, DIGITS),
            high=None if high is None else round(high, DIGITS),
            level=level,
            n=n,
            total=total,
            direction=metric.direction,
            signature=outcome.signature,
            reason=reason,
            values=values if value is not None else None,
            summary=metric.summary,
            title=metric_title(metric.name, metric.title),
            companions=metric.companions,
        )


def _multiply(factors: tuple[float | None, ...]) -> float | None:
    present = [factor for factor in factors if factor is not None]
    return math.prod(present) if len(present) == len(factors) else None


def _missing_parts(name: str, missing: Sequence[tuple[str, str]]) -> str:
    """One reason from the reasons of parts, which begins with the status of the first."""
    if len({reason for _, reason in missing}) == 1:
        status, _, details = missing[0][1].partition(": ")
    else:
        status = missing[0][1].partition(": ")[0]
        details = "; ".join(f"{part}: {reason.partition(': ')[2]}" for part, reason in missing)
    return f"{status}: {name} needs {', '.join(part for part, _ in missing)}: {details}"


def _summarise(
    measured: Measured, values: tuple[float | None, ...] | None, total: int, seed: int
) -> tuple[float | None, int, tuple[float, float, float] | None]:
    """Value, how many texts entered, and (low, high, level) over the choice of texts, which takes two of them, and of a
    corpus metric, which has no values by which to judge so few, `FEWEST`."""
    import numpy as np

    from benchmarks.stats import FEWEST, interval, mean_interval

    if values is not None:
        present = [value for value in values if value is not None]
        if not present:
            return None, 0, None
        limits = mean_interval(present) if len(present) > 1 else None
        mean = math.fsum(present) / len(present)
        return mean, len(present), None if limits is None else (limits.low, limits.high, limits.level)
    assert measured.total is not None, "an evaluator gives values or a total"
    entered = total if measured.n is None else measured.n
    limits = measured.interval
    if measured.rows is not None and measured.statistic is not None:
        few = min(entered, len(measured.rows)) < FEWEST
        limits = None if few else interval(np.asarray(measured.rows, dtype=float), measured.statistic, seed=seed)
    if limits is None or entered < FEWEST:
        return measured.total, entered, None
    return measured.total, entered, (limits.low, limits.high, limits.level)


def _hint(metric: Metric, evaluator: Evaluator | None, evaluators: Mapping[str, str]) -> str:
    """Why a metric cannot run, or nothing if it can. Looks for packages and models without importing any."""
    if evaluator is None:
        return metric.absent or "not run: nobody judges texts of this source by it"
    missing = [module for module in evaluator.modules if importlib.util.find_spec(module) is None]
    if missing:
        return f"missing evaluator: {', '.join(missing)} is not installed; add it with: {evaluator.command}"
    for role in evaluator.models:
        if judges.find(role, evaluators) is None:
            name = judges.model_for(role, evaluators)
            return f"missing evaluator: {name} is not on this machine; add it with: {judges.command(name)}"
    return ""


def _present(model: judges.Located | None) -> judges.Located:
    assert model is not None, "a model that was there a moment ago"
    return model


def _available(metric: Metric, source: str, evaluators: Mapping[str, str]) -> Availability:
    if metric.parts:
        parts = [_available(find(name), source, evaluators) for name in metric.parts]
        evaluator = " + ".join(dict.fromkeys(part.evaluator for part in parts))
        missing = [(part.metric, part.hint) for part in parts if not part.works]
        hint = _missing_parts(metric.name, missing) if missing else ""
    else:
        who = metric.evaluator(source)
        located = {role: judges.find(role, evaluators) for role in (who.models if who else ())}
        models = [
            judges.model_for(role, evaluators) if model is None else model.name for role, model in located.items()
        ]
        evaluator = judge(who, list(dict.fromkeys(models)))
        hint = _hint(metric, who, evaluators)
    return Availability(metric=metric.name, evaluator=evaluator, works=not hint, hint=hint)
