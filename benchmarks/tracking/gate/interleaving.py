"""A and B timed in turns, in several fresh processes of each, so that what the machine does meanwhile meets both.

A machine's clock, its memory and what else it runs drift within minutes, by more than a regression that one would like
to see; one process differs from the next by where its memory lies. So every round times A and B one right after the
other, who is first changes with every round, and the whole is done in several processes of each, which are the unit of
what is claimed (`benchmarks.stats.ratios`). Where the A/A noise floor of the machine is not known
(`benchmarks.timing.noise_floor`), a second process of A goes along, which says it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from benchmarks.stats.intervals import LEVEL, Interval
from benchmarks.stats.paired import POWER
from benchmarks.stats.ratios import LEAST_ROUNDS, compare_rounds, detectable_ratio, log_ratios, spread_of
from benchmarks.timing import noise_floor
from benchmarks.timing.noise_floor import QuantityFloor
from benchmarks.tracking.gate.side_process import TimedSide

A, B, AGAIN = "A", "B", "A again"
Start = Callable[[], AbstractContextManager[TimedSide]]


@dataclass(frozen=True)
class Design:
    """How much is timed.

    Attributes:
        processes: of each side; every one of A has one of B to take turns with.
        rounds: of each process, at most.
        seconds: of a process, after which no round beyond the fewest (`LEAST_ROUNDS`) is begun.
    """

    processes: int = 5
    rounds: int = 10
    seconds: float = math.inf


@dataclass(frozen=True)
class RatioEvidence:
    """How many times as long one side takes as another, from the logarithms of every round's ratio in each process."""

    logs: tuple[tuple[float, ...], ...]

    @property
    def change(self) -> float:
        return compare_rounds(self.logs).ratio

    @property
    def null(self) -> float:
        return 1.0

    @property
    def p(self) -> float:
        return compare_rounds(self.logs).p

    def interval(self, level: float = LEVEL) -> Interval | None:
        found = compare_rounds(self.logs, level=level)
        return Interval(found.low, found.high, level)

    def detectable(self, tests: float = 1.0, power: float = POWER) -> float | None:
        spread = spread_of(self.logs)
        level = 1 - (1 - LEVEL) / max(1.0, tests)
        return detectable_ratio(spread, spread.processes, spread.rounds, level=level, power=power)


@dataclass(frozen=True)
class Turns:
    """What was timed: of each process, side and number of texts at once the seconds of every round.

    `blocks[p][side][size]` are the seconds of r rounds.
    """

    blocks: tuple[Mapping[str, Mapping[int, Sequence[float]]], ...] = ()

    def __add__(self, other: Turns) -> Turns:
        return Turns(self.blocks + other.blocks)

    def ratio(self, size: int, above: str = B, below: str = A) -> RatioEvidence:
        """Seconds of one side over those of another."""
        return RatioEvidence(tuple(tuple(log_ratios(block[below][size], block[above][size])) for block in self.blocks))

    def seconds(self, side: str, size: int) -> float:
        """The median over processes of a side's medians over rounds."""
        return statistics.median(statistics.median(block[side][size]) for block in self.blocks)

    def floor(self, size: int) -> QuantityFloor:
        """The A/A noise floor that the second process of A shows."""
        return noise_floor.floor(self.ratio(size, AGAIN, A).logs, self.seconds(A, size))

    @property
    def rounds(self) -> int:
        """Of all processes together."""
        return sum(len(next(iter(block[A].values()))) for block in self.blocks)


def taken(sides: Mapping[str, Start], sizes: Sequence[int], design: Design, clock: Callable[[], float]) -> Turns:
    """Time all sides in turns.

    Args:
        sides: name -> what starts a fresh process of it.
        sizes: the numbers of texts at once; each is timed in every round.
        clock: seconds since some moment, by which a process's rounds end.

    Raises:
        UserError: a side cannot be started or fails.
    """
    return Turns(tuple(_block(sides, sizes, design, clock, number) for number in range(design.processes)))


def _block(
    sides: Mapping[str, Start], sizes: Sequence[int], design: Design, clock: Callable[[], float], number: int
) -> Mapping[str, Mapping[int, Sequence[float]]]:
    """All rounds of one process of each side."""
    seconds: dict[str, dict[int, list[float]]] = {name: {size: [] for size in sizes} for name in sides}
    with ExitStack() as stack:
        # The side that is started first changes too: what is loaded first may lie better in memory.
        ready = {name: stack.enter_context(sides[name]()) for name in _turned(list(sides), number)}
        began = clock()
        for done in range(design.rounds):
            if done >= LEAST_ROUNDS and clock() - began >= design.seconds:
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
