"""The number of texts at once with which most texts are made a second, and what is known of those that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.timing import memory
from benchmarks.timing.protocol import Call

GAIN = 1.05  # of texts a second, which twice as many at once must bring
LARGEST = 8192
SECONDS = 30.0  # no further size is tried after so long
CALLS = 3  # of each size, of which the fastest tells: the first prepares, and one may stand still
BEYOND = 1  # sizes without gain, beyond which the search goes on once more


@dataclass
class TooMany:
    """The smallest number of texts at once that did not fit into memory, None where none is known.

    Cells of one system share it, so that none tries again what another could not.
    """

    size: int | None = None

    def note(self, size: int) -> None:
        """So many did not fit."""
        self.size = size if self.size is None else min(self.size, size)

    def at(self, size: int) -> bool:
        """Whether so many are known not to fit."""
        return self.size is not None and size >= self.size


def best_size(call: Callable[[int], Call], start: int, too_many: TooMany, made: list[Call], *, alone: bool) -> int:
    """Double the number of texts at once as long as that brings more texts a second, fits, and there is time.

    One size that brings no more ends nothing: a second in a row does. Between the last that fitted and the first that
    did not, the middle is tried too.

    Args:
        call: makes so many texts.
        made: takes the calls that were made.
        alone: whether memory that runs out is the fault of the size; else that is raised.
    """
    best, rate, spent, size, without = start, 0.0, 0.0, start, 0
    while size <= LARGEST and spent < SECONDS:
        found = None if too_many.at(size) else _rate(call, size, made, alone=alone)
        if found is None:
            too_many.note(size)
            middle = (best + size) // 2
            if too_many.at(middle) or middle <= best or size == start:
                return best
            size = middle
            continue
        spent += found[1]
        without = 0 if found[0] > rate * GAIN else without + 1
        if found[0] > rate:
            best, rate = size, found[0]
        if without > BEYOND:
            return best
        if too_many.at(2 * size) and too_many.size is not None and too_many.size - size <= size // 4:
            return best
        size = 2 * size
    return best


def _rate(call: Callable[[int], Call], size: int, made: list[Call], *, alone: bool) -> tuple[float, float] | None:
    """Texts a second of the fastest of some calls, and the seconds of all; None where they do not fit."""
    try:
        calls = [call(size) for _ in range(CALLS)]
    except Exception as error:
        if not alone or not memory.is_exhausted(error):
            raise
    else:
        made += calls
        return size / max(min(done.seconds for done in calls), 1e-9), sum(done.seconds for done in calls)
    memory.free()
    return None
