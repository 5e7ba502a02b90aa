"""JSON read by annotations: what fits is as it was, and what does not is one sentence that names the place."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import pytest

from cosmos.io.errors import UserError
from cosmos.io.typed_json import AnyFloat, AnyText, parse, parse_object, read_as


class About(TypedDict):
    name: str


class Nothing(TypedDict):
    """Empty."""


@dataclass(frozen=True)
class Part:
    width: int

    def __post_init__(self) -> None:
        if self.width < 0:
            raise UserError("A width is not negative.")


@dataclass(frozen=True)
class Whole:
    part: Part
    kind: Literal["plain", "fancy"]
    share: float
    loss: AnyFloat | None
    words: tuple[str, ...] = ()
    pair: tuple[int, float] = (1, 2.0)
    said: AnyText = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    about: About | Nothing = field(default_factory=lambda: Nothing())


GOOD = Whole(Part(3), "plain", 0.5, None, ("a", "é"), (4, 5.0), "half \ud800", {"a": 1}, {"b": [1, {}]}, {"name": "x"})


def test_what_fits_is_read_as_it_was() -> None:
    stored = json.loads(json.dumps(dataclasses.asdict(GOOD)))
    assert read_as(Whole, stored, "file", "mend it") == GOOD
    assert read_as(Whole, {**stored, "loss": float("inf")}, "file", "mend it").loss == float("inf")
    assert read_as(Whole, {**stored, "about": {}}, "file", "mend it").about == {}
    assert read_as(Whole, {**stored, "share": 1}, "file", "mend it").share == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"part": {"width": "3"}}, "part.width must be a whole number, not '3'"),
        ({"part": {"width": True}}, "part.width must be a whole number, not true"),
        ({"part": {"width": 2**63}}, "part.width must be a whole number that 64 bits hold, not a huge number"),
        ({"part": {}}, "part lacks the field width"),
        ({"part": {"width": 1, "depth": 2}}, "part has an unknown field 'depth'"),
        ({"part": [1]}, "part must be an object, not a list"),
        ({"part": {"width": -1}}, "A width is not negative"),
        ({"kind": "strange"}, "kind must be plain or fancy, not 'strange'"),
        ({"kind": []}, "kind must be plain or fancy, not a list"),
        ({"share": float("nan")}, "share must be a finite number, not nan"),
        ({"share": 10**400}, "share must be a finite number, not a huge number"),
        ({"loss": "none"}, "loss must be a finite number or null, not 'none'"),
        ({"words": ["a", None]}, "words[1] must be text, not null"),
        ({"words": "ab"}, "words must be a list, not 'ab'"),
        ({"words": ["\udc80"]}, "words[0] must be text without halves of surrogate pairs, not '\\udc80'"),
        ({"pair": [1]}, "pair must be a list of 2 values, not a list"),
        ({"pair": [1, "x"]}, "pair[1] must be a finite number, not 'x'"),
        ({"counts": {"a": 1.5}}, "counts.a must be a whole number, not 1.5"),
        ({"notes": {"b": [1, float("nan")]}}, "notes.b[1] must be a finite number, not nan"),
        ({"about": {"name": 3}}, "about.name must be text, not 3"),
        ({"about": {"label": "x"}}, "about lacks the field name"),
        ({"said": 3}, "said must be text, not 3"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], said: str) -> None:
    stored = {**json.loads(json.dumps(dataclasses.asdict(GOOD))), **changes}
    with pytest.raises(UserError) as caught:
        read_as(Whole, stored, "file.json", "mend it")
    assert str(caught.value) == f"file.json is damaged ({said}); mend it."


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse("[" * 100_000)
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(UserError, match="nested 64 levels at most"):
        read_as(dict[str, Any], deep, "file.json", "mend it")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": 1, "id": 2}', "has more than one 'id'"),
        ('{"a": {"b": 1, "b": 1}}', "has more than one 'b'"),
        ("[1]", "is no JSON object"),
        ("{", "is not JSON"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "a number that is too long"),
    ],
)
def test_a_line_that_is_no_object_is_named(line: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_object(line, "Line 3 of file")
