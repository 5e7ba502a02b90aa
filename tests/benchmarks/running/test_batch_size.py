"""The search for the number of texts at once with which most are made a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.running.sizes.batch_size import CALLS, TooMany, best_size
from benchmarks.timing.protocol import Call


def searched(seconds: Callable[[int, int], float]) -> tuple[int, list[int]]:
    """The size found from 8 on, and all that were tried; `seconds` of a size and of how often it was asked before."""
    asked: list[int] = []

    def call(size: int) -> Call:
        asked.append(size)
        return Call((), seconds(size, asked.count(size) - 1), {"network": 1})

    return best_size(call, 8, TooMany(), [], alone=True), list(dict.fromkeys(asked))


def growing(size: int, before: int) -> float:
    return 0.1 + 0.0001 * size


@pytest.mark.parametrize("stalls", [{0}, {1}, {2}, {0, 1}])
def test_calls_that_stand_still_decide_nothing(stalls: set[int]) -> None:
    found = searched(lambda size, before: growing(size, before) + (size == 16 and before in stalls))
    assert found[0] == searched(growing)[0] > 1000


def test_one_size_without_gain_ends_nothing_and_two_do() -> None:
    slow_at = {32: 4.0, 256: 4.0, 512: 8.0}
    best, tried = searched(lambda size, before: 0.1 * slow_at.get(size, 1.0))
    assert (best, tried) == (128, [8, 16, 32, 64, 128, 256, 512])


def test_every_size_is_called_as_often() -> None:
    asked: list[int] = []

    def call(size: int) -> Call:
        asked.append(size)
        return Call((), 0.01 * size, {})

    made: list[Call] = []
    assert best_size(call, 8, TooMany(), made, alone=True) == 8
    assert asked == [8] * CALLS + [16] * CALLS + [32] * CALLS and len(made) == len(asked)
