"""Statistics of scores: intervals, paired tests, families of tests, fronts. Numpy, and quantiles of scipy, only."""

from benchmarks.stats.bootstrap import interval
from benchmarks.stats.families import benjamini_hochberg, holm, holm_factors, table_factors
from benchmarks.stats.intervals import (
    FEWEST,
    Interval,
    SeedVariance,
    mean_interval,
    mean_intervals,
    over_seeds,
    ratio_interval,
    seed_variance,
    with_seeds,
)
from benchmarks.stats.paired import (
    Comparison,
    ComparisonOutcome,
    adjusted,
    compare,
    decide,
    detectable_difference,
    unadjusted,
)
from benchmarks.stats.pareto import dominated_by, front, front_shares

__all__ = [
    "FEWEST",
    "Comparison",
    "ComparisonOutcome",
    "Interval",
    "SeedVariance",
    "adjusted",
    "benjamini_hochberg",
    "compare",
    "decide",
    "detectable_difference",
    "dominated_by",
    "front",
    "front_shares",
    "holm",
    "holm_factors",
    "interval",
    "mean_interval",
    "mean_intervals",
    "over_seeds",
    "ratio_interval",
    "seed_variance",
    "table_factors",
    "unadjusted",
    "with_seeds",
]
