"""Less work for some texts is found, and never where calls depend on texts, seeds, or how many are made at once."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from benchmarks.records.schema import TimingRecord
from benchmarks.records.validity import LATENCY, throughput
from benchmarks.timing.audit.work import less_work, lower

SIZE, LARGE, TEXTS = 8, 32, 64
Draw = Callable[[random.Random, int], int]  # calls for so many texts at once


def call(kind: str, place: int, size: int, calls: int, scored: bool) -> TimingRecord:
    ids = tuple(f"test-{(place + n) % TEXTS}" for n in range(size))
    return TimingRecord(kind, place, ids, 0.1, {"network": calls}, texts="hash" if scored else "")  # type: ignore[arg-type]


def timings(draw: Draw, other: Draw | None = None, seed: int = 0) -> list[TimingRecord]:
    """A run: single texts of the last batch, scored and not; a larger size; the batches; and some in their place.

    Args:
        other: calls for what is only timed.
    """
    numbers, only_timed = random.Random(seed), other or draw
    last = TEXTS - SIZE
    return [
        *(call("latency", last + n, 1, draw(numbers, 1), True) for n in range(SIZE)),
        *(call("latency", last + n, 1, only_timed(numbers, 1), False) for n in range(4)),
        *(call("sweep", n, LARGE, only_timed(numbers, LARGE), False) for n in range(3)),
        *(call("batch", n, SIZE, draw(numbers, SIZE), True) for n in range(0, TEXTS, SIZE)),
        *(call("sweep", 10 + n, SIZE, only_timed(numbers, SIZE), False) for n in range(3)),
    ]


def steps(numbers: random.Random, size: int) -> int:
    return 10


def in_parts(numbers: random.Random, size: int) -> int:
    return 10 * -(-size // 4)


def until_all_are_done(numbers: random.Random, size: int) -> int:
    return max(numbers.randint(5, 40) for _ in range(size))


def seldom_another(numbers: random.Random, size: int) -> int:
    return max(2 + (numbers.random() < 0.02) for _ in range(size))


def one_or_two(numbers: random.Random, size: int) -> int:
    return max(1 + (numbers.random() < 0.7) for _ in range(size))


def about_forty(numbers: random.Random, size: int) -> int:
    return round(max(numbers.gauss(40, 8) for _ in range(size)))


NAMES = (LATENCY, throughput(SIZE), throughput(LARGE))


@pytest.mark.parametrize("draw", [steps, in_parts, until_all_are_done, seldom_another, one_or_two, about_forty])
def test_nobody_honest_is_accused(draw: Draw) -> None:
    for seed in range(500):
        made = timings(draw, seed=seed)
        assert [less_work(name, made, SIZE) for name in NAMES] == [()] * 3


def test_less_for_what_is_only_timed() -> None:
    made = timings(steps, lambda numbers, size: 5)
    said = ("audit: less work: 5 network calls in what is only timed, 10 in what is scored",)
    assert [less_work(name, made, SIZE) for name in NAMES] == [said] * 3


def test_where_calls_spread_many_are_needed() -> None:
    spread = [5, 12, 17, 23, 31, 36, 38, 40]
    assert not lower([2] * 8, spread)
    assert lower([2] * 15, spread)
    made = [*timings(until_all_are_done), *(call("latency", n, 1, 2, False) for n in range(20, 60))]
    assert not less_work(LATENCY, timings(until_all_are_done), SIZE)
    assert less_work(LATENCY, [timing for timing in made if timing.texts or timing.calls["network"] == 2], SIZE)


def test_less_for_what_is_scored() -> None:
    """A larger size rests on nothing that is scored, and is believed."""
    made = timings(lambda numbers, size: 6, steps)
    said = ("audit: less work: 6 network calls in what is scored, 10 in what is only timed",)
    assert [less_work(name, made, SIZE) for name in NAMES] == [said, said, ()]


def test_less_where_many_are_made_at_once() -> None:
    made = timings(lambda numbers, size: 2 if size == LARGE else 10)
    assert [bool(less_work(name, made, SIZE)) for name in NAMES] == [False, False, True]


def test_few_calls_and_small_differences_tell_nothing() -> None:
    assert lower([5] * 5, [10] * 5)
    assert not lower([5] * 4, [10] * 4)
    assert not lower([1] * 6, [2] * 6)  # one call
    assert lower([1] * 7, [2] * 7)
    assert lower([5, 6] * 4, [10, 11] * 4)
    assert not lower([5, 8] * 4, [10, 15] * 4)
    assert not lower([9] * 5, [10] * 5)
    assert not lower([], [10] * 500)
    assert less_work(LATENCY, [], SIZE) == ()
