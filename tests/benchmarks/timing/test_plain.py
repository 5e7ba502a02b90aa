"""Answers are plain values when the clock stops, whatever a system hands over."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

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
    given: list[Any] = [(1, 2), [1, True], (Number(3), 4), Late(), (), None]
    plain = plain_samples([Sample("a", "b", 2, True, sequence) for sequence in given])
    found = [sample.sequence for sample in plain]
    assert found == [(1, 2), (1, 1), (3, 4), (7, 8), (), None]
    assert all(type(sequence) is tuple for sequence in found if sequence is not None)
    assert {type(number) for sequence in found for number in sequence or ()} == {int}
    assert Late.asked == 1


def test_samples_of_plain_values_are_handed_over_as_they_are() -> None:
    given = [Sample("a", "b", 2, True, (1, 2**70, -3)), Sample("", "", 0, False), Sample("c", "d", 1, True, ())]
    plain = plain_samples(given)
    assert all(found is sample for found, sample in zip(plain, given, strict=True))
    for name in Sample._fields:
        with pytest.raises(AttributeError):  # so that nothing can be put there once the clock stands still
            object.__setattr__(plain[0], name, "late")


class Numbers(array):  # type: ignore[type-arg]
    """Numbers with a class of their own, that are others when they are looked at."""

    def __iter__(self) -> Iterator[int]:
        return iter([7, 8])


def test_an_array_of_integers_is_copied_so_that_nobody_fills_it_late() -> None:
    own, empty = array("q", (1, -(2**63), 2**63 - 1)), array("q")
    plain = plain_samples([Sample("a", "b", 2, True, own), Sample("c", "d", 0, False, empty)])
    own[0] = 5
    empty.append(5)
    assert [sample.sequence for sample in plain] == [array("q", (1, -(2**63), 2**63 - 1)), array("q")]
    assert all(type(sample) is Sample and type(sample.sequence) is array for sample in plain)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(Numbers("q", (1, 2)), (7, 8)), (array("d", (1.0, 2.0)), (1, 2)), (array("i", (1, 2)), (1, 2))],
)
def test_arrays_of_other_kinds_become_tuples_of_integers(given: Any, expected: tuple[int, ...]) -> None:
    [plain] = plain_samples([Sample("a", "b", 2, True, given)])
    assert plain.sequence == expected and type(plain.sequence) is tuple
    assert {*map(type, plain.sequence)} == {int}


class Place(IntEnum):
    FIRST = 1


class Wordy(str):
    """A text with a class of its own."""

    def __str__(self) -> str:
        return "worked out"


@pytest.mark.parametrize("number", [True, Number(1), np.int64(1), np.int8(1), np.bool_(True), Place.FIRST])
@pytest.mark.parametrize("place", [0, 1, 127])
def test_one_number_with_a_class_of_its_own_is_found_among_many(number: Any, place: int) -> None:
    ids = [7] * 128
    [plain] = plain_samples([Sample("a", "b", 2, True, (*ids[:place], number, *ids[place + 1 :]))])
    assert plain.sequence == (*ids[:place], 1, *ids[place + 1 :])
    assert {*map(type, plain.sequence)} == {int}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("id", Wordy("a"), "worked out"),
        ("text", Wordy("b"), "worked out"),
        ("tokens", np.int64(2), 2),
        ("tokens", True, 1),
        ("finished", np.bool_(False), False),
        ("finished", 1, True),
        ("sequence", [1, 2], (1, 2)),
        ("sequence", np.array([1, 2]), (1, 2)),
    ],
)
def test_every_value_becomes_a_plain_one(name: str, value: Any, expected: Any) -> None:
    sample = Sample("a", "b", 2, True, (1, 2))
    [plain] = plain_samples([sample._replace(**{name: value})])
    assert plain == sample._replace(**{name: expected})
    assert [type(part) for part in plain] == [str, str, int, bool, tuple]
    assert {*map(type, plain.sequence or ())} == {int}


class LateSample(Sample):
    """A sample whose text is worked out when it is asked for."""

    asked = 0

    @property
    def text(self) -> str:
        LateSample.asked += 1
        return f"{self.id} at last"


def test_attributes_worked_out_late_are_asked_for_once() -> None:
    [plain] = plain_samples([LateSample("a", "", 2, True, (1, 2))])
    assert plain == Sample("a", "a at last", 2, True, (1, 2)) and type(plain) is Sample
    assert LateSample.asked == 1
