"""Which texts are made one at a time to time a latency, and whether they are enough."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator

from baselines.contract import Request
from benchmarks.records.schema import TimingRecord
from benchmarks.running.cell_timing import narrow
from benchmarks.timing.protocol import Protocol
from benchmarks.timing.stalls import stalled


class SingleTexts:
    """The single texts of a cell.

    Those that are scored too come first, each before its batch is made; others take their place when there are none.
    A call that stood still counts for nothing here either, so that another is made in its place.

    Args:
        scored: requests that may be asked alone, with the places of their batches.
        turns: that the cell takes.
        judged: whether more than the least are made where they tell more; nothing is said of a floor's speed.
    """

    def __init__(
        self, scored: Iterable[tuple[int, Request]], protocol: Protocol, turns: int, *, judged: bool = True
    ) -> None:
        self._scored, self._protocol = deque(scored), protocol
        self._seconds_a_turn = protocol.latency_seconds / turns if judged else 0.0
        self._made, self._again_seconds = list[TimingRecord](), 0.0

    def note(self, timing: TimingRecord, *, again: bool = False) -> None:
        """Such a call was made.

        Args:
            again: in place of others, after all batches were made.
        """
        self._made.append(timing)
        self._again_seconds += timing.seconds if again else 0.0

    def batch_made(self, index: int) -> None:
        """What was made is not asked alone."""
        while self._scored and self._scored[0][0] <= index:
            self._scored.popleft()

    @property
    def lack(self) -> bool:
        """Whether too few were made that did not stand still, and there is time for others."""
        protocol = self._protocol
        return len(self.seconds) < protocol.latency_texts[0] and self._again_seconds < protocol.again_seconds

    @property
    def seconds(self) -> list[float]:
        """Of those that did not stand still."""
        still = {timing.index for timing, _ in stalled(self._made)}
        return [timing.seconds for timing in self._made if timing.index not in still]

    def due(self, left: int) -> Iterator[Request | None]:
        """What to ask in this turn, of so many that are left: more where the median is not known well, as far as there
        is time; None: a request that nobody asked.

        Each is to be noted before the next is taken.
        """
        before, made = len(self._made), len(self.seconds)
        least, most = (math.ceil((bound - made) / left) for bound in self._protocol.latency_texts)
        while (done := len(self._made) - before) < most:
            spent = sum(timing.seconds for timing in self._made[before:])
            more = spent < self._seconds_a_turn and not narrow(self.seconds, self._protocol.latency_width)
            if done >= least and not more:
                return
            yield self._next()

    def due_again(self) -> Iterator[Request | None]:
        """What to ask in place of those that lack when all batches are made."""
        while self.lack:
            yield self._next()

    def _next(self) -> Request | None:
        return self._scored.popleft()[1] if self._scored else None
