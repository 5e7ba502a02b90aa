"""Statistics of scores: intervals, paired tests, families of tests, fronts. Standard library and numpy only."""

from benchmarks.stats.bootstrap import Interval, interval, mean_interval, ratio_interval
from benchmarks.stats.families import benjamini_hochberg, holm
from benchmarks.stats.paired import Comparison, Outcome, compare, decide
from benchmarks.stats.pareto import dominated_by, front

__all__ = [
    "Comparison",
    "Interval",
    "Outcome",
    "benjamini_hochberg",
    "compare",
    "decide",
    "dominated_by",
    "front",
    "holm",
    "interval",
    "mean_interval",
    "ratio_interval",
]
