"""From texts to scores: run each metric's evaluator, multiply products, draw intervals, sign.

A score that cannot be had is null with a reason and takes no other score with it.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from baselines.contract import Document
from benchmarks.metrics.metric import Absent, Availability, Batch, Evaluator, Measured, Metric
from benchmarks.metrics.registry import find, names
from benchmarks.metrics.signature import NOBODY, sign, sign_product
from benchmarks.records import Score, Signature

DIGITS = 6
"""Decimals kept in scores, so that records are the same on machines whose last bits differ."""


def score(
    task_name: str,
    source_name: str,
    documents: Sequence[Document],
    texts: Sequence[str],
    metrics: Sequence[str],
    *,
    seed: int = 0,
    device: str = "cpu",
) -> list[Score]:
    """Score `texts[i]` as an answer to `documents[i]`, one `Score` per metric, in order.

    Intervals are bootstraps over texts drawn from `seed`. Raises `UserError` for an unknown metric, before any work.
    """
    assert len(documents) == len(texts), f"{len(texts)} texts for {len(documents)} documents"
    wanted = [find(name) for name in metrics]
    batch = Batch(task=task_name, source=source_name, documents=documents, texts=texts, device=device)
    done: dict[str, _Outcome] = {}
    return [_finish(metric, _outcome(metric, batch, done), len(texts), seed) for metric in wanted]


def available(source_name: str) -> list[Availability]:
    """For every metric whether it works here on texts of this source, who would judge, and what to do if nobody can."""
    return [_available(find(name), source_name) for name in names()]


@dataclass(frozen=True)
class _Outcome:
    """What became of a metric: measured, or the reason why not."""

    signature: Signature
    measured: Measured = field(default_factory=Measured)
    reason: str | None = None


def _outcome(metric: Metric, batch: Batch, done: dict[str, _Outcome]) -> _Outcome:
    if metric.name not in done:
        done[metric.name] = _product(metric, batch, done) if metric.parts else _measure(metric, batch)
    return done[metric.name]


def _measure(metric: Metric, batch: Batch) -> _Outcome:
    evaluator = metric.evaluator(batch.source)
    hint = _hint(metric, evaluator)
    if hint or evaluator is None:
        return _Outcome(sign(metric, evaluator), reason=hint)
    if not batch.texts:
        return _Outcome(sign(metric, evaluator), reason="too few: there is no text, and one is needed")
    try:
        measured = evaluator.measure(batch)
    except Absent as absent:
        return _Outcome(sign(metric, evaluator), reason=str(absent))
    except Exception as error:  # whatever breaks in a library must not lose the other scores, and is shown in this one
        return _Outcome(
            sign(metric, evaluator), reason=f"failed: {type(error).__name__}: {' '.join(str(error).split())}"
        )
    return _Outcome(sign(metric, evaluator, measured), measured)


def _product(metric: Metric, batch: Batch, done: dict[str, _Outcome]) -> _Outcome:
    """The product of the parts of each text; null where a part is null, with the part's own reason."""
    parts = [_outcome(find(name), batch, done) for name in metric.parts]
    signature = sign_product(metric, [part.signature for part in parts])
    missing = [(name, part.reason) for name, part in zip(metric.parts, parts, strict=True) if part.reason]
    if missing:
        return _Outcome(signature, reason=_missing_parts(metric.name, missing))
    columns = []
    for name, part in zip(metric.parts, parts, strict=True):
        assert part.measured.values is not None, f"{metric.name} cannot multiply {name}, which has no score per text"
        columns.append(part.measured.values)
    values = tuple(_multiply(row) for row in zip(*columns, strict=True))
    return _Outcome(signature, Measured(values=values))


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


def _finish(metric: Metric, outcome: _Outcome, total: int, seed: int) -> Score:
    measured = outcome.measured
    value, n, limits, values = None, 0, None, None
    if outcome.reason is None:
        if measured.values is not None:
            assert len(measured.values) == total, f"{metric.name} gave {len(measured.values)} scores for {total} texts"
            values = tuple(None if v is None else round(float(v), DIGITS) for v in measured.values)
        value, n, limits = _summarise(measured, values, total, seed)
    reason = outcome.reason
    if reason is None and value is None:
        reason = f"too few: none of {total} texts could be judged"
    return Score(
        metric=metric.name,
        value=None if value is None else round(value, DIGITS),
        low=None if limits is None else round(limits[0], DIGITS),
        high=None if limits is None else round(limits[1], DIGITS),
        level=None if limits is None else limits[2],
        n=n,
        total=total,
        direction=metric.direction,
        signature=outcome.signature,
        reason=reason,
        values=values if value is not None else None,
    )


def _summarise(
    measured: Measured, values: tuple[float | None, ...] | None, total: int, seed: int
) -> tuple[float | None, int, tuple[float, float, float] | None]:
    """Value, how many texts entered, and (low, high, level), which takes two texts."""
    import numpy as np

    from benchmarks.stats.bootstrap import interval, mean_interval

    if values is not None:
        present = [value for value in values if value is not None]
        if not present:
            return None, 0, None
        limits = mean_interval(present, seed=seed) if len(present) > 1 else None
        mean = math.fsum(present) / len(present)
        return mean, len(present), None if limits is None else (limits.low, limits.high, limits.level)
    assert measured.total is not None and measured.rows is not None and measured.statistic is not None
    if total < 2:
        return measured.total, total, None
    limits = interval(np.asarray(measured.rows, dtype=float), measured.statistic, seed=seed)
    return measured.total, total, (limits.low, limits.high, limits.level)


def _hint(metric: Metric, evaluator: Evaluator | None) -> str:
    """Why a metric cannot run, or nothing if it can. Looks for packages without importing them."""
    if evaluator is None:
        return metric.absent
    missing = [module for module in evaluator.modules if importlib.util.find_spec(module) is None]
    if missing:
        return f"missing evaluator: {', '.join(missing)} is not installed; add it with: {evaluator.command}"
    return ""


def _available(metric: Metric, source: str) -> Availability:
    if metric.parts:
        parts = [_available(find(name), source) for name in metric.parts]
        evaluator = " + ".join(dict.fromkeys(part.evaluator for part in parts))
        missing = [(part.metric, part.hint) for part in parts if not part.works]
        hint = _missing_parts(metric.name, missing) if missing else ""
    else:
        judge = metric.evaluator(source)
        evaluator = NOBODY if judge is None else judge.name()
        hint = _hint(metric, judge)
    return Availability(metric=metric.name, evaluator=evaluator, works=not hint, hint=hint)
