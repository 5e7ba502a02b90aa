"""Who judged, in a form that can be compared: versions of libraries, hashes of weights, signatures of products.

Scores with unlike signatures never share a column and are never compared; `benchmarks.records.schema.difference` says
why.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib import metadata

from benchmarks.evaluators import Located
from benchmarks.metrics.core.metric import Evaluator, Measured, Metric
from benchmarks.records.schema import FORM, Signature, identity

NOBODY = "none"
_SHOWN = 8  # digits of a part's hash


@functools.cache
def library(distribution: str) -> str:
    """The name and installed version of a distribution, as "sacrebleu 2.6.0"; the bare name if it is missing."""
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return distribution


def ours() -> str:
    """The name of an evaluator that needs no library."""
    return "cosmos-bench"


def world_grammar() -> str:
    """The name of the evaluator that is the built-in source's own grammar."""
    from benchmarks.data.world import VERSION

    return f"world grammar {VERSION}"


def judge(evaluator: Evaluator | None, models: Sequence[str] = ()) -> str:
    """Who judges: the models that take a role, and the library with its version."""
    return NOBODY if evaluator is None else ", ".join([*models, evaluator.name()])


def sign(
    metric: Metric,
    evaluator: Evaluator | None,
    measured: Measured | None = None,
    models: Mapping[str, Located] | None = None,
    form: str = "",
) -> Signature:
    """The signature of a score by one evaluator; of a score that could not be had if `measured` is None.

    `form` is that of the texts, where there are several.
    """
    located = models or {}
    hashes = {role: model.weights for role, model in located.items()}
    distinct = sorted(set(hashes.values()))
    weights = distinct[0] if len(distinct) == 1 else identity(hashes) if distinct else None
    return Signature(
        metric=metric.name,
        version=metric.version,
        evaluator=judge(evaluator, list(dict.fromkeys(model.name for model in located.values()))),
        options=({} if measured is None else dict(measured.options)) | _of_form(form),
        weights=None if measured is None else measured.weights or weights,
    )


def _of_form(form: str) -> dict[str, object]:
    return {FORM: form} if form else {}


def sign_product(metric: Metric, parts: Sequence[Signature], form: str = "") -> Signature:
    """The signature of a product: its evaluators, each once, and every part's own definition and options."""
    weights: Mapping[str, str] = {part.metric: part.weights for part in parts if part.weights}
    distinct = sorted(set(weights.values()))
    return Signature(
        metric=metric.name,
        version=metric.version,
        evaluator=" + ".join(dict.fromkeys(part.evaluator for part in parts)),
        options={part.metric: f"v{part.version}:{identity(part.options)[:_SHOWN]}" for part in parts} | _of_form(form),
        weights=distinct[0] if len(distinct) == 1 else identity(dict(weights)) if distinct else None,
    )
