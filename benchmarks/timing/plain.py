"""Answers as plain values: what is left to do when a sample is looked at is done while the clock runs."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from operator import countOf

from baselines.contract import Sample


def plain_samples(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The same samples of plain strings, integers and booleans, none of them of a class of its own.

    An attribute that is worked out when it is asked for is asked for here. An array of integers is plain already; it is
    copied, so that nobody can fill it later.
    """
    return tuple(map(_plain, samples))


def _plain(sample: Sample) -> Sample:
    """The sample itself where there is nothing to do: it is a tuple, whose values nobody can put there later."""
    if type(sample) is not Sample:
        return _made_plain(sample)
    name, text, tokens, finished, sequence = sample
    if not (type(name) is str and type(text) is str and type(tokens) is int and type(finished) is bool):
        return _made_plain(sample)
    if sequence is None or (type(sequence) is tuple and _are_integers(sequence)):
        return sample
    return Sample(name, text, tokens, finished, _sequence(sequence))


def _made_plain(s: Sample) -> Sample:
    return Sample(_text(s.id), _text(s.text), _whole(s.tokens), bool(s.finished), _sequence(s.sequence))


def _are_integers(values: tuple[int, ...]) -> bool:
    """Whether each is of the class `int` itself. Equal classes are counted, which takes two thirds of a set of them."""
    return countOf(map(type, values), int) == len(values)


def _text(value: str) -> str:
    if type(value) is str:
        return value
    copied = str.__str__(value) if type(value).__str__ is str.__str__ else str(value)
    return copied if type(copied) is str else "".join(copied)


def _whole(value: int) -> int:
    return value if type(value) is int else int(value)


def _sequence(value: Sequence[int] | None) -> tuple[int, ...] | array[int] | None:
    if value is None:
        return None
    if type(value) is array and value.typecode == "q":
        return value[:]
    own = tuple(value)
    return own if _are_integers(own) else tuple(map(int, own))
