"""Scores of texts: names, definitions, evaluators, signatures. See `core.metric_names` for how to add one."""

from benchmarks.metrics.core.evaluate import available, expand, judge_of, score
from benchmarks.metrics.core.metric import Availability, MetricInput
from benchmarks.metrics.core.metric_names import find, names

__all__ = ["Availability", "MetricInput", "available", "expand", "find", "judge_of", "names", "score"]
