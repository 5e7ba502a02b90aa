"""Scores of texts: names, definitions, evaluators, signatures. See `registry` for how to add one."""

from benchmarks.metrics.metric import Availability, Batch
from benchmarks.metrics.registry import find, names
from benchmarks.metrics.scoring import available, expand, judge_of, score

__all__ = ["Availability", "Batch", "available", "expand", "find", "judge_of", "names", "score"]
