"""A and B timed in turns, in several pairs of fresh processes, so that what the machine does meanwhile meets both.

A machine's clock, its memory and what else it runs drift within minutes, by more than a regression that one would like
to see; one process differs from the next by where its memory lies. So every round times A and B one right after the
other, who is first changes with every round, and the whole is done in several processes of each, which are the unit of
what is claimed: the ratio of a pair of processes is the median over its rounds, and the interval is Student's t over
pairs. A second process of A goes along in each block, so that the same comparison of A with itself says what noise
alone would make of it (the A/A floor).

Axes: p blocks of fresh processes, r rounds in each.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import numpy as np

from benchmarks.stats.evidence import StudentEvidence
from benchmarks.tracking.gate.side_process import Side

A, B, AGAIN = "A", "B", "A again"
Start = Callable[[], AbstractContextManager[Side]]


@dataclass(frozen=True)
class Design:
    """How much is timed.

    Attributes:
        processes: blocks, each with fresh processes of every side.
        rounds: of each block, at most and at least.
        seconds: of a block, after which no round beyond the least is begun.
    """

    processes: int = 5
    rounds: tuple[int, int] = (3, 10)
    seconds: float = math.inf


@dataclass(frozen=True)
class Rounds:
    """What was timed: of each block, side and number of texts at once the seconds of every round.

    `blocks[p][side][size]` are r numbers.
    """

    blocks: tuple[Mapping[str, Mapping[int, Sequence[float]]], ...] = field(default=())

    def __add__(self, other: Rounds) -> Rounds:
        return Rounds(self.blocks + other.blocks)

    def ratio(self, size: int, above: str = B, below: str = A) -> StudentEvidence:
        """How many times as long one side takes as another, with its spread over blocks."""
        return ratio_of([(block[above][size], block[below][size]) for block in self.blocks])

    def seconds(self, side: str, size: int) -> float:
        """The median over blocks of a side's medians over rounds."""
        return statistics.median(statistics.median(block[side][size]) for block in self.blocks)

    def floor(self, size: int) -> float:
        """The A/A noise floor: how far from 1 the interval of A against itself reaches, as a share."""
        limits = self.ratio(size, AGAIN, A).interval()
        return 0.0 if limits is None else max(limits.high, 1 / limits.low) - 1

    @property
    def rounds(self) -> int:
        """Of all blocks together."""
        return sum(len(next(iter(block[A].values()))) for block in self.blocks)


def ratio_of(blocks: Sequence[tuple[Sequence[float], Sequence[float]]]) -> StudentEvidence:
    """The ratio of seconds, from those of each block's rounds on both sides: two of shape (r,) for each of p >= 2."""
    assert len(blocks) >= 2, "one pair of processes says nothing of how processes differ"
    logs = np.array([statistics.median(np.log(np.asarray(b) / np.asarray(a))) for b, a in blocks])
    return StudentEvidence(float(logs.mean()), float(np.var(logs, ddof=1)) / len(logs), len(logs) - 1, ratio=True)


def interleaved(sides: Mapping[str, Start], sizes: Sequence[int], design: Design, clock: Callable[[], float]) -> Rounds:
    """Time all sides in turns.

    Args:
        sides: name -> what starts a fresh process of it.
        sizes: the numbers of texts at once; each is timed in every round.
        clock: seconds since some moment, by which a block ends.

    Raises:
        UserError: a side cannot be started or fails.
    """
    return Rounds(tuple(_block(sides, sizes, design, clock, number) for number in range(design.processes)))


def _block(
    sides: Mapping[str, Start], sizes: Sequence[int], design: Design, clock: Callable[[], float], number: int
) -> Mapping[str, Mapping[int, Sequence[float]]]:
    seconds: dict[str, dict[int, list[float]]] = {name: {size: [] for size in sizes} for name in sides}
    least, most = design.rounds
    with ExitStack() as stack:
        # The side that is started first changes too: what is loaded first may lie better in memory.
        ready = {name: stack.enter_context(sides[name]()) for name in _turned(list(sides), number)}
        began = clock()
        for done in range(most):
            if done >= least and clock() - began >= design.seconds:
                break
            for name in _turned(list(sides), number + done):
                for size in sizes:
                    seconds[name][size].append(ready[name].seconds(size))
    return seconds


def _turned(names: Sequence[str], turn: int) -> Iterator[str]:
    """The names in an order in which each comes first, and before each other, equally often."""
    start = turn % len(names)
    order = [*names[start:], *names[:start]]
    return iter(order if (turn // len(names)) % 2 == 0 else order[::-1])
