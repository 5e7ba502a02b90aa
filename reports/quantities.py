"""Numbers with their intervals: what a group of timings comes to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from benchmarks.stats import ratio_interval
from benchmarks.stats.order_statistics import quantile, quantile_limits

LEVEL = 0.95
FEWEST_PROCESSES = 3  # fewer say too little of how processes differ
FEWEST_BATCHES = 3  # fewer timed batches say too little of their spread for an interval


@dataclass(frozen=True)
class Quantity:
    """A number with its interval, or None with the reason; `n` observations are behind it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None


def latency(timed: pd.DataFrame, share: float = 0.5) -> Quantity:
    """The milliseconds within which a share of single texts is made, the median unless it is said, with the
    distribution-free interval of a quantile (`benchmarks.stats.order_statistics`); none where texts are too few."""
    milliseconds = sorted(1000.0 * timed["seconds"])
    if not milliseconds:
        return Quantity(None, reason="not run: no single text was timed")
    limits = quantile_limits(milliseconds, share, LEVEL)
    low, high = limits or (None, None)
    return Quantity(quantile(milliseconds, share), low, high, len(milliseconds))


def throughput(timed: pd.DataFrame, unit: str = "texts") -> Quantity:
    """Texts per second over all timed batches, or words or tokens that were kept, with the interval over their choice,
    those of all seeds together; where several processes timed, over the choice of these."""
    n = len(timed)
    if n == 0 or not float(timed["seconds"].sum()) > 0:
        return Quantity(None, reason="not run: no batch was timed")
    if timed[unit].isna().any():
        return Quantity(None, reason=f"not run: no record says how many {unit} were kept")
    value = float(timed[unit].sum()) / float(timed["seconds"].sum())
    if value and "process" in timed and timed["process"].nunique() >= FEWEST_PROCESSES:
        return _over_processes(timed, unit, value)
    if n < FEWEST_BATCHES or not value:  # whoever writes nothing has no words, and no interval of them
        return Quantity(value, n=n)
    limits = ratio_interval(timed[unit].to_numpy(float), timed["seconds"].to_numpy(float), level=LEVEL)
    return Quantity(value, limits.low, limits.high, n)


def _over_processes(timed: pd.DataFrame, unit: str, value: float) -> Quantity:
    """The rate with Student's interval of the mean of log rates of processes: calls within one share its luck."""
    sums = timed.groupby("process")[[unit, "seconds"]].sum()
    if not (sums[unit] > 0).all():
        return Quantity(value, n=len(timed))
    logs = np.log((sums[unit] / sums["seconds"]).to_numpy(float))
    half = float(stdtrit(len(logs) - 1, (1 + LEVEL) / 2) * logs.std(ddof=1) / math.sqrt(len(logs)))
    return Quantity(value, value * math.exp(-half), value * math.exp(half), len(timed))


def mean(values: pd.Series[float]) -> Quantity:
    present = values.dropna().astype(float)
    return Quantity(float(present.mean()), n=len(present)) if len(present) else Quantity(None)
