"""JSON with one thing wrong, for tests of what reads it: deterministic, and the same for every file."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

WRONG = (
    "null", "true", "-7", "1.5", "NaN", "-Infinity", "1" + "0" * 400, "1" + "0" * 5000, '""', '"x"', '"\\ud800"', "[]",
    "[null]", '["x"]', "{}", '{"x":null}', "[" * 100_000, '{"a":' * 100_000, '{"a":' * 200 + "1" + "}" * 200,
)  # fmt: skip
"""JSON texts, some of which no value of a file can be."""

DAMAGED = (b"", b"\xff\xfe{}\n", b"\0\0\n", b"{\n", b"[1]\n", b"7\n", b'{"a": 1, "a": \xed\xa0\x80}\n')
"""Bytes that no file can hold."""

_MARK = "a place to write into"


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a JSON value: of a list its first part only, as the others are like it."""
    yield above
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*above, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*above, 0))


def mutations(value: Any, each: int = len(WRONG)) -> Iterator[tuple[str, str]]:
    """What was done to the value, and the JSON that came of it: `each` of the wrong values at every place, and all of
    them in turn."""
    wrong_ones = itertools.cycle(WRONG)
    for place in places(value):
        name = ".".join(map(str, place)) or "all"
        for wrong in itertools.islice(wrong_ones, each):
            yield f"{name} = {wrong[:12]}", json.dumps(_changed(value, place, _MARK)).replace(json.dumps(_MARK), wrong)
        if place:
            yield f"{name} gone", json.dumps(_without(value, place))
    if isinstance(value, dict):
        yield "one more", json.dumps({**value, "one more": 1})


def _changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    value = copy.deepcopy(value)
    above = _above(value, place)
    above[place[-1]] = new
    return value


def _without(value: Any, place: tuple[Any, ...]) -> Any:
    value = copy.deepcopy(value)
    del _above(value, place)[place[-1]]
    return value


def _above(value: Any, place: tuple[Any, ...]) -> Any:
    for part in place[:-1]:
        value = value[part]
    return value
