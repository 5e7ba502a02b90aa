"""Answers as plain values: what is left to do when a sample is looked at is done while the clock runs."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.contract import Sample


def plain_samples(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The same samples of plain strings, integers and booleans, none of them of a class of its own.

    An attribute that is worked out when it is asked for is asked for here.
    """
    return tuple(
        Sample(_text(s.id), _text(s.text), _whole(s.tokens), bool(s.finished), _sequence(s.sequence)) for s in samples
    )


def _text(value: str) -> str:
    if type(value) is str:
        return value
    copied = str.__str__(value) if type(value).__str__ is str.__str__ else str(value)
    return copied if type(copied) is str else "".join(copied)


def _whole(value: int) -> int:
    return value if type(value) is int else int(value)


def _sequence(value: Sequence[int] | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    own = tuple(value)
    return own if set(map(type, own)) <= {int} else tuple(map(int, own))
