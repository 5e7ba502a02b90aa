"""Whether as much is done for texts that are only timed as for those that are scored. Standard library only.

How many calls of its networks a text takes may depend on the text, on its seed and on its company: a batch goes on
until its last text is done, or is made in parts. So counts are compared where nothing honest makes fewer: of as many
texts at once, or of more. And one side must lie below the other altogether, by a tenth and with so many calls on either
side that chance does not deal them so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.records.schema import TimingRecord
from benchmarks.records.validity import LATENCY, calls_in, size_of, throughput

LESS = 0.1  # share by which the most of some must be below the least of others
APART = 3.0  # times as far as either side spreads they are apart, where counts hardly depend on the text
CHANCES, CHANCES_OF_ONE, CHANCES_OF_SPREAD = 100, 1_000, 100_000


def lower(some: Sequence[float], others: Sequence[float], *beside: Sequence[float]) -> bool:
    """Whether all of some are below all of others, by more than a share and than chance.

    Of as many ways to deal the counts to the two sides as `chances` says, one puts all that are smaller on one side.
    Many such ways are wanted where counts spread, or where a single call makes the difference.

    Args:
        beside: counts that show too how far they spread: of batches all may reach a limit that few texts reach.
    """
    if not some or not others or not max(some) < (1 - LESS) * min(others):
        return False
    gap, spread = min(others) - max(some), max(max(side) - min(side) for side in (some, others, *beside) if side)
    wanted = CHANCES_OF_SPREAD
    if gap > max(1, APART * spread):
        wanted = CHANCES
    elif not spread:
        wanted = CHANCES_OF_ONE
    return chances(some, others) >= wanted


def chances(some: Sequence[object], others: Sequence[object]) -> int:
    """In how many ways these counts could be dealt to two sides as large as they are."""
    return math.comb(len(some) + len(others), len(some))


def less_work(name: str, timings: Sequence[TimingRecord], size: int) -> tuple[str, ...]:
    """What speaks against a throughput or a latency: it rests on texts for which less was done.

    Args:
        timings: of all calls, in the order in which they were made.
        size: how many texts the scored ones were made at once.
    """
    calls = calls_in(timings, size, name)
    at_once = size_of(name) or 1
    every = [*calls_in(timings, size, LATENCY), *calls_in(timings, size, throughput(size))]
    scored = [timing for timing in every if _is_scored(timing)]
    only_timed = [timing for timing in calls if not _is_scored(timing)]
    single = [timing for timing in every if timing.kind == "latency"]
    sides = [[t for t in single if _is_scored(t)], [t for t in single if not _is_scored(t)]]
    alike = [timing for timing in scored if len(timing.ids) == at_once]
    no_more = [timing for timing in scored if len(timing.ids) <= at_once]
    for others in (alike, no_more):
        if found := _fewer(only_timed, others, sides):
            return (_said(found, "what is only timed", "what is scored"),)
    if not sides[0] or not any(_is_scored(timing) for timing in calls):
        return ()
    found = _fewer(scored, sides[1], sides)
    return () if found is None else (_said(found, "what is scored", "what is only timed"),)


def _said(found: tuple[float, float], some: str, others: str) -> str:
    return f"audit: less work: {found[0]:.3g} network calls in {some}, {found[1]:.3g} in {others}"


def _is_scored(timing: TimingRecord) -> bool:
    return timing.kind == "batch" or (timing.kind == "latency" and bool(timing.texts))


def _fewer(
    some: Sequence[TimingRecord], others: Sequence[TimingRecord], beside: Sequence[Sequence[TimingRecord]]
) -> tuple[float, float] | None:
    """Where some calls took fewer network calls than others, the most of the first and the least of those; of the first
    network, by which durations are divided, or of all together."""
    for number in (_of_first, _of_all):
        mine, theirs, *more = ([number(timing) for timing in side] for side in (some, others, *beside))
        if lower(mine, theirs, *more):
            return max(mine), min(theirs)
    return None


def _of_first(timing: TimingRecord) -> int:
    return next(iter(timing.calls.values()), 0)


def _of_all(timing: TimingRecord) -> int:
    return sum(timing.calls.values())
