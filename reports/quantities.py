"""Numbers with their intervals: what a group of timings comes to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from benchmarks.stats import ratio_interval

LEVEL = 0.95
FEWEST_BATCHES = 3  # fewer timed batches say too little of their spread for an interval


@dataclass(frozen=True)
class Quantity:
    """A number with its interval, or None with the reason; `n` observations are behind it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None


def latency(timed: pd.DataFrame) -> Quantity:
    """The median milliseconds of one text, with the distribution-free interval of a median.

    The interval runs between the order statistics k and n + 1 - k, k the largest with
    2 P(Binomial(n, 1/2) < k) <= 1 - level (David and Nagaraja, Order Statistics, section 7.1); none below six texts.
    """
    milliseconds = sorted(1000.0 * timed["seconds"])
    n = len(milliseconds)
    if n == 0:
        return Quantity(None, reason="not run: no single text was timed")
    middle = float(pd.Series(milliseconds).median())
    below, rank = 0.0, 0
    while True:
        below += 2 * math.comb(n, rank) / 2**n
        if below > 1 - LEVEL:
            break
        rank += 1
    if rank == 0:
        return Quantity(middle, n=n)
    return Quantity(middle, milliseconds[rank - 1], milliseconds[n - rank], n)


def throughput(timed: pd.DataFrame) -> Quantity:
    """Texts per second over all timed batches, with the interval over their choice, those of all seeds together."""
    n = len(timed)
    if n == 0 or not float(timed["seconds"].sum()) > 0:
        return Quantity(None, reason="not run: no batch was timed")
    value = float(timed["texts"].sum()) / float(timed["seconds"].sum())
    if n < FEWEST_BATCHES:
        return Quantity(value, n=n)
    limits = ratio_interval(timed["texts"].to_numpy(float), timed["seconds"].to_numpy(float), level=LEVEL)
    return Quantity(value, limits.low, limits.high, n)


def mean(values: pd.Series[float]) -> Quantity:
    present = values.dropna().astype(float)
    return Quantity(float(present.mean()), n=len(present)) if len(present) else Quantity(None)
