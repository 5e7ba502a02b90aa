"""Is B slower than A? Ratios of durations that were taken turn and turn about, in several processes.

One round times A and B right after each other, so that what slows the machine slows both; its datum is the logarithm of
B's seconds over A's. Rounds of one process share that process's luck (where its memory lies, which cores it got), so
processes are what is drawn at random, and the interval is taken over them. Within a process the middle of the rounds
counts: a trimmed mean, which a stall in one round does not move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import chdtri, ndtr, stdtr, stdtrit

from benchmarks.stats.intervals import LEVEL
from benchmarks.stats.paired import POWER, ComparisonOutcome

_QUANTILES, _HALVINGS = 2000, 40  # how finely the power of a test is computed
TRIMMED = 0.2  # share of the rounds left out on either side
LEAST_ROUNDS = 5  # fewer say nothing of their own spread once trimmed


@dataclass(frozen=True)
class Spread:
    """Variances of log ratios: of processes about the truth, and of the middle of one round about its process.

    Attributes:
        between: variance between processes, without what their rounds add; never negative.
        within: variance that one round contributes: that of a process of `n` rounds is `within / n`.
        processes: on how many the estimate rests.
        rounds: of each process, the fewest where they differ.
    """

    between: float
    within: float
    processes: int
    rounds: int


@dataclass(frozen=True)
class RatioComparison:
    """B against A: how many times as long B takes.

    Attributes:
        ratio: B's seconds over A's.
        low, high: limits of its interval at `level`.
        p: two-sided p-value that both take equally long.
        outcome: of B: "worse" is slower, "better" faster.
        detectable: the smallest ratio above 1 that such a comparison finds with a probability of `POWER`.
        covers_processes: whether the interval holds for other processes; if not, for this one alone.
    """

    ratio: float
    low: float
    high: float
    level: float
    p: float
    outcome: ComparisonOutcome
    detectable: float
    processes: int
    rounds: int
    covers_processes: bool


def log_ratios(seconds_a: Sequence[float], seconds_b: Sequence[float]) -> list[float]:
    """Of rounds: the logarithm of B's seconds over A's. All durations are above zero."""
    return [math.log(b / a) for a, b in zip(seconds_a, seconds_b, strict=True)]


def compare_rounds(
    processes: Sequence[Sequence[float]], *, level: float = LEVEL, known: Spread | None = None
) -> RatioComparison:
    """Compare by the log ratios of every round of every process.

    With two processes or more the interval is Student's over their trimmed means. With one it is that of a trimmed mean
    (Tukey and McLaughlin, Sankhya A 25, 1963), widened by the spread between processes that is `known` of the machine
    from elsewhere, with degrees of freedom after Welch and Satterthwaite.

    Args:
        processes: log ratios of rounds, at least `LEAST_ROUNDS` of each process.
        known: from comparing something with itself on the same machine.
    """
    middles, squares, degrees = (np.array(part) for part in zip(*map(_trimmed, processes), strict=True))
    centre, count = float(middles.mean()), len(processes)
    if count > 1:
        square, freedom = float(middles.var(ddof=1)) / count, count - 1.0
    else:
        parts = [(float(squares[0]), float(degrees[0]))]
        if known is not None:
            parts.append((known.between, float(known.processes - 1)))
        square = sum(part for part, _ in parts)
        freedom = square**2 / sum(part**2 / df for part, df in parts) if square > 0 else float(degrees[0])
    error = math.sqrt(square)
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    p = float(2 * stdtr(freedom, -abs(centre) / error)) if error > 0 else float(centre == 0)
    outcome: ComparisonOutcome = "cannot tell" if abs(centre) <= half else "worse" if centre > 0 else "better"
    return RatioComparison(
        math.exp(centre),
        math.exp(centre - half),
        math.exp(centre + half),
        level,
        p,
        outcome,
        math.exp(error * _detectable(freedom, level, POWER)),
        count,
        min(map(len, processes)),
        count > 1 or known is not None,
    )


def spread_of(processes: Sequence[Sequence[float]]) -> Spread:
    """The variances that two processes or more show, by moments."""
    assert len(processes) > 1, "one process says nothing of others"
    middles, squares, _ = (np.array(part) for part in zip(*map(_trimmed, processes), strict=True))
    within = float(np.mean([square * len(rounds) for square, rounds in zip(squares, processes, strict=True)]))
    between = max(0.0, float(middles.var(ddof=1) - squares.mean()))
    return Spread(between, within, len(processes), min(map(len, processes)))


def detectable_ratio(
    spread: Spread, processes: int, rounds: int, *, level: float = LEVEL, power: float = POWER
) -> float:
    """The smallest ratio above 1 that is found with probability `power` by so many processes of so many rounds."""
    assert processes > 1, "an interval over processes needs two"
    square = (spread.between + spread.within / rounds) / processes
    return math.exp(math.sqrt(square) * _detectable(processes - 1.0, level, power))


def _trimmed(rounds: Sequence[float]) -> tuple[float, float, float]:
    """Trimmed mean of one process's rounds, its squared standard error (of the winsorised rounds), and the degrees of
    freedom of that."""
    assert len(rounds) >= LEAST_ROUNDS, f"{len(rounds)} rounds of a process, {LEAST_ROUNDS} are needed"
    ordered = np.sort(np.asarray(rounds, dtype=float))
    count = len(ordered)
    cut = int(TRIMMED * count)
    kept = count - 2 * cut
    winsorised = np.clip(ordered, ordered[cut], ordered[count - 1 - cut])
    square = float(winsorised.var(ddof=1)) * (count - 1) / (kept * (kept - 1))
    return float(ordered[cut : count - cut].mean()), square, kept - 1.0


@lru_cache(maxsize=1024)
def _detectable(freedom: float, level: float, power: float) -> float:
    """The difference that a two-sided t test finds with probability `power`, in standard errors."""
    limit = float(stdtrit(freedom, (1 + level) / 2))
    # Estimated errors over the true one, as frequent as they are: then the power is a mean of normal tails.
    shares = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    limits = limit * np.sqrt(chdtri(freedom, shares) / freedom)
    low, high = 0.0, 4 * limit + 8
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = float(np.mean(ndtr(middle - limits) + ndtr(-middle - limits)))
        low, high = (middle, high) if found < power else (low, middle)
    return high
