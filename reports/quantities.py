"""Numbers with their intervals: what a group of timings comes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from benchmarks.records.schema import Record
from benchmarks.stats import ratio_interval
from benchmarks.stats.order_statistics import fewest, quantile, quantile_limits

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
    distribution-free interval of a quantile (`benchmarks.stats.order_statistics`); none where texts are too few. Where
    several processes timed, the interval is over their choice, as calls within one share its luck."""
    milliseconds = sorted(1000.0 * timed["seconds"])
    if not milliseconds:
        return Quantity(None, reason="not run: no single text was timed")
    limits = quantile_limits(milliseconds, share, LEVEL)
    low, high = limits or (None, None)
    value = quantile(milliseconds, share)
    if limits and "process" in timed and timed["process"].nunique() >= FEWEST_PROCESSES:
        own = [quantile(sorted(1000.0 * rows), share) for _, rows in timed.groupby("process")["seconds"]]
        if min(own) > 0:
            low, high = _around(value, own)
    return Quantity(value, low, high, len(milliseconds))


def tail_latency(timed: pd.DataFrame, share: float) -> Quantity:
    """`latency` where its interval is known; else how many texts that would take."""
    found = latency(timed, share)
    if found.value is None or found.low is not None:
        return found
    wanted = f"{fewest(share, LEVEL)} are needed for an interval"
    said = "1 text was timed" if found.n == 1 else f"{found.n} texts were timed"
    return Quantity(None, n=found.n, reason=f"too few: {said} alone, {wanted}")


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


def made_together(records: Sequence[Record]) -> Quantity:
    """No throughput, as several devices made the texts at once; what they made together is said."""
    whole = [timing for record in records for timing in record.timings if timing.kind == "whole"]
    texts, seconds = sum(len(timing.ids) for timing in whole), sum(timing.seconds for timing in whole)
    rate = f", {texts / seconds:.3g} texts/s together" if seconds > 0 else ""
    return Quantity(None, reason=f"not run: {len(records[0].header.cell.devices)} devices made them at once{rate}")


def _over_processes(timed: pd.DataFrame, unit: str, value: float) -> Quantity:
    """The rate with Student's interval of the mean of log rates of processes: calls within one share its luck."""
    sums = timed.groupby("process")[[unit, "seconds"]].sum()
    if not (sums[unit] > 0).all():
        return Quantity(value, n=len(timed))
    return Quantity(value, *_around(value, (sums[unit] / sums["seconds"]).tolist()), len(timed))


def _around(value: float, of_processes: Sequence[float]) -> tuple[float, float]:
    """Limits by Student's interval of the mean of logarithms."""
    logs = np.log(np.asarray(of_processes, dtype=float))
    half = float(stdtrit(len(logs) - 1, (1 + LEVEL) / 2) * logs.std(ddof=1) / math.sqrt(len(logs)))
    return value * math.exp(-half), value * math.exp(half)


def mean(values: pd.Series[float]) -> Quantity:
    present = values.dropna().astype(float)
    return Quantity(float(present.mean()), n=len(present)) if len(present) else Quantity(None)
