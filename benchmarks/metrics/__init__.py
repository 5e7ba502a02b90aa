"""Scores of texts: names, definitions, evaluators, signatures. See `core.metric_names` for how to add one."""

from benchmarks.metrics.core.evaluate import available, expand, judge_of, score
from benchmarks.metrics.core.metric import Availability, MetricInput
from benchmarks.metrics.core.metric_names import find, names
from benchmarks.metrics.core.normalisation import form_of

__all__ = ["Availability", "MetricInput", "available", "expand", "find", "form_of", "judge_of", "names", "score"]
