"""Answers are plain values when the clock stops, whatever a system hands over."""

from __future__ import annotations

from collections.abc import Iterator

from baselines.contract import Sample
from benchmarks.timing.plain import plain_samples


class Late(tuple[int, ...]):
    """Tokens that are worked out when they are looked at."""

    asked = 0

    def __iter__(self) -> Iterator[int]:
        Late.asked += 1
        return iter([7, 8])


class Number(int):
    """A whole number with a class of its own."""


def test_sequences_become_tuples_of_integers() -> None:
    given = [(1, 2), [1, True], (Number(3), 4), Late(), (), None]
    plain = plain_samples([Sample("a", "b", 2, True, sequence) for sequence in given])
    found = [sample.sequence for sample in plain]
    assert found == [(1, 2), (1, 1), (3, 4), (7, 8), (), None]
    assert all(type(sequence) is tuple for sequence in found if sequence is not None)
    assert {type(number) for sequence in found for number in sequence or ()} == {int}
    assert Late.asked == 1
