"""What is prepared before steps run fast: whether blocks are compiled, and to how many lengths batches are padded.

Compiling costs seconds, for each length again, and every step after that is faster; more lengths mean less padding. So
of all choices that one is taken which makes the most steps of a budget, or ends one in steps or FLOPs the soonest. The
figures are those of one H200 at preset `small` with nothing in the cache of compilations.

Where an earlier stage of the run has compiled the same network, as the denoiser's training has for its students, most
of it is there: in this process, or, where the run was killed and goes on in another, in the cache on disk. What counts
is what the run's folder says was compiled and not what this process has done, so a training that is taken up again, or
comes after another system's, chooses as it would have in one go and alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor

from cosmos.training.buckets import bucket_sizes, padded_share
from cosmos.training.budget import Budget

COMPILING_SECONDS = 30.0  # of the first length, besides what each costs
LENGTH_SECONDS = {True: 6.0, False: 0.5}  # of every length: compiled, or recorded alone; three took 48 s in all
# Of these where the network is known, for what a teacher and another loss add, or for reading from disk. An estimate:
# on a CPU, in one process, a student took a seventh.
KNOWN_SHARE = 1 / 3
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
    known: Collection[int] | None = None,
) -> Preparation:
    """The preparation that pays best.

    Args:
        step_flops: what one step costs, asked where a budget in steps must be known in seconds.
        compile_options: the choices there are: (False, True) where it is to be found out.
        ragged: lengths of rows int64 [n] and the most there may be; None where all batches have one shape.
        buckets: how many lengths; 0: to be found out, too.
        known: lengths at which the network was compiled before, none where its batches had one shape; None: it was not.
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
            seconds = compiling_seconds(sizes, known) if compiled else LENGTH_SECONDS[False] * max(1, len(sizes))
            pace = share / (SPEED_UP if compiled else 1.0)  # seconds for one of an unprepared training
            # Of seconds: how much longer a training without preparation takes for as many steps.
            needed = pace * work / max(1e-9, work - seconds) if budget.unit == "seconds" else seconds + pace * work
            if (seconds < work or budget.unit != "seconds") and needed < least:
                best, least = Preparation(compiled, sizes), needed
    if best == Preparation() and ragged is not None:
        best = Preparation(False, bucket_sizes(ragged[0], 1, ragged[1]))
    return best


def compiling_seconds(sizes: Collection[int], known: Collection[int] | None) -> float:
    """What compiling costs for batches of these lengths, where the network is known at others; none: of one shape."""
    asked = set(sizes or (0,))
    if known is None:
        return COMPILING_SECONDS + LENGTH_SECONDS[True] * len(asked)
    new = len(asked - set(known or (0,)))
    return KNOWN_SHARE * (COMPILING_SECONDS + LENGTH_SECONDS[True] * (len(asked) - new)) + LENGTH_SECONDS[True] * new


def _seconds(budget: Budget, step_flops: Callable[[], float]) -> float:
    """Of a training that is not prepared."""
    if budget.unit == "seconds":
        return budget.amount
    return budget.amount * (step_flops() if budget.unit == "steps" else 1.0) / FLOPS_PER_SECOND
