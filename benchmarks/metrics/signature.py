"""Who judged, in a form that can be compared: versions of libraries, hashes of weights, signatures of products."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.metrics.metric import Evaluator, Measured, Metric
from benchmarks.records import Signature, identity

NOBODY = "none"


@functools.cache
def library(distribution: str) -> str:
    """The name and installed version of a distribution, as "sacrebleu 2.6.0"; the bare name if it is missing."""
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return distribution


@functools.cache
def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes in hexadecimal, read once per process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sign(metric: Metric, evaluator: Evaluator | None, measured: Measured | None = None) -> Signature:
    """The signature of a score by one evaluator; of a score that could not be had if `measured` is None."""
    return Signature(
        metric=metric.name,
        version=metric.version,
        evaluator=NOBODY if evaluator is None else evaluator.name(),
        options={} if measured is None else dict(measured.options),
        weights=None if measured is None else measured.weights,
    )


def sign_product(metric: Metric, parts: Sequence[Signature]) -> Signature:
    """The signature of a product: its evaluators, each once, and every part's own definition and options."""
    weights: Mapping[str, str] = {part.metric: part.weights for part in parts if part.weights}
    distinct = sorted(set(weights.values()))
    return Signature(
        metric=metric.name,
        version=metric.version,
        evaluator=" + ".join(dict.fromkeys(part.evaluator for part in parts)),
        options={part.metric: f"v{part.version}:{identity(part.options)[:8]}" for part in parts},
        weights=distinct[0] if len(distinct) == 1 else identity(dict(weights)) if distinct else None,
    )
