"""Requests that are nobody's: of the shapes of those that are timed, with other sources and other seeds.

Warming up with the requests themselves would fill a cache by request, and would tell a thread that works ahead what
comes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from baselines.contract import Request
from benchmarks.running.seeds import request_seed


class StandIns:
    """Gives requests that were never asked before.

    Args:
        requests: those that are timed and scored.
        others: requests for other documents, whose sources stand in for theirs; where there are none, sources of the
            requests themselves, each dealt to another.
        stream: of other seeds than every other stream's.
    """

    def __init__(self, requests: Sequence[Request], others: Sequence[Request] = (), *, stream: str = "") -> None:
        middle = len(requests) // 2
        self._pool: dict[int, deque[Request]] = {}
        for request in others or [*requests[middle:], *requests[:middle]]:
            self._pool.setdefault(_length(request), deque()).append(request)
        self._lengths = sorted(self._pool)
        self._drawn, self._stream, self._turn = count(), stream, 0

    def like(self, requests: Sequence[Request]) -> list[Request]:
        """As many requests, each with a source about as long, and with a seed that is new."""
        return [self._new(self._near(_length(request))) for request in requests]

    def again(self, requests: Sequence[Request], size: int) -> list[Request]:
        """`size` requests with the sources of these, in turn from call to call, and with seeds that are new."""
        first, self._turn = self._turn, self._turn + size
        return [self._new(requests[(first + place) % len(requests)]) for place in range(size)]

    def _near(self, length: int) -> Request:
        """Of the sources whose length is nearest, each in its turn."""
        above = bisect_left(self._lengths, length)
        nearest = min(self._lengths[max(0, above - 1) : above + 1], key=lambda found: abs(found - length))
        turns = self._pool[nearest]
        turns.rotate(-1)
        return turns[-1]

    def _new(self, request: Request) -> Request:
        return replace(request, seed=request_seed(request.seed, f"stand-in\x1f{self._stream}\x1f{next(self._drawn)}"))


def _length(request: Request) -> int:
    return len(request.source or "")
