"""What is prepared before steps run fast: whether blocks are compiled, and to how many lengths batches are padded.

Compiling costs seconds, for each length again, and every step after that is faster; more lengths mean less padding. So
of all choices that one is taken which makes the most steps of a budget, or ends one in steps or FLOPs the soonest. The
figures are those of one H200 at preset `small` with nothing in the cache of compilations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from cosmos.training.buckets import bucket_sizes, padded_share
from cosmos.training.budget import Budget

COMPILING_SECONDS = 30.0  # of the first length, besides what each costs
LENGTH_SECONDS = {True: 6.0, False: 0.5}  # of every length: compiled, or recorded alone; three took 48 s in all
SPEED_UP = 1.9  # of compiled steps: 41.7 -> 17.1 ms (autoencoder), 20.6 -> 11.1 ms (denoiser)
FLOPS_PER_SECOND = 7.7e13  # of steps that are not compiled: 71e12 (autoencoder), 83e12 (denoiser)
MOST_LENGTHS = 6


@dataclass(frozen=True)
class Preparation:
    """How the steps of a training are to run.

    Attributes:
        compiled: whether the network's blocks, and what lies around them, are compiled.
        sizes: positions that batches are padded to, ascending; none: every batch to its own longest row.
    """

    compiled: bool = False
    sizes: tuple[int, ...] = ()


def prepare(
    budget: Budget,
    step_flops: Callable[[], float],
    *,
    compile_options: tuple[bool, ...],
    ragged: tuple[Tensor, int] | None,
    buckets: int,
) -> Preparation:
    """The preparation that pays best.

    Args:
        step_flops: what one step costs, asked where a budget in steps must be known in seconds.
        compile_options: the choices there are: (False, True) where it is to be found out.
        ragged: lengths of rows int64 [n] and the most there may be; None where all batches have one shape.
        buckets: how many lengths; 0: to be found out, too.
    """
    counts = [0] if ragged is None else [buckets] if buckets else list(range(1, MOST_LENGTHS + 1))
    best, least = Preparation(), float("inf")
    work = None
    for compiled in compile_options:
        for count in counts:
            sizes = () if ragged is None else bucket_sizes(ragged[0], count, ragged[1])
            if len(compile_options) * len(counts) == 1:
                return Preparation(compiled, sizes)
            if work is None:
                work = _seconds(budget, step_flops)
            share = 1.0 if ragged is None else padded_share(ragged[0], sizes)
            seconds = (COMPILING_SECONDS if compiled else 0.0) + LENGTH_SECONDS[compiled] * max(1, len(sizes))
            pace = share / (SPEED_UP if compiled else 1.0)  # seconds for one of an unprepared training
            # Of seconds: how much longer a training without preparation takes for as many steps.
            needed = pace * work / max(1e-9, work - seconds) if budget.unit == "seconds" else seconds + pace * work
            if (seconds < work or budget.unit != "seconds") and needed < least:
                best, least = Preparation(compiled, sizes), needed
    if best == Preparation() and ragged is not None:
        best = Preparation(False, bucket_sizes(ragged[0], 1, ragged[1]))
    return best


def _seconds(budget: Budget, step_flops: Callable[[], float]) -> float:
    """Of a training that is not prepared."""
    if budget.unit == "seconds":
        return budget.amount
    return budget.amount * (step_flops() if budget.unit == "steps" else 1.0) / FLOPS_PER_SECOND
