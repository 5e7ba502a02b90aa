"""Scores of texts: names, definitions, evaluators, signatures. See `core.metric_names` for how to add one."""

from benchmarks.metrics.core.evaluate import available, expand, finder, judge_of, score
from benchmarks.metrics.core.metric import Absent, Availability, Measured, MetricInput
from benchmarks.metrics.core.metric_names import find, names
from benchmarks.metrics.core.normalisation import form_of

__all__ = [
    "Absent",
    "Availability",
    "Measured",
    "MetricInput",
    "available",
    "expand",
    "find",
    "finder",
    "form_of",
    "judge_of",
    "names",
    "score",
]
