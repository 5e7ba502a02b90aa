"""Options: typed changes to nested frozen dataclasses, from words and from TOML values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from baselines.contract import Budget, UserError
from benchmarks.planning.overrides import CliValue, keys, override, plain, split_assignment
from benchmarks.records.schema import canonical_json


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    pair: tuple[float, float] = (0.9, 0.98)


@dataclass(frozen=True)
class Outer:
    width: int = 4
    inner: Inner = field(default_factory=Inner)
    kind: Literal["plain", "fancy"] = "plain"
    level: Literal[1, 2] = 1
    bias: bool = True
    name: str = "x"
    decay: float | None = 0.5
    label: str | None = None
    sizes: tuple[int, ...] = (1, 2)
    budget: Budget = field(default_factory=lambda: Budget(10, "steps"))

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be positive")


@pytest.mark.parametrize(
    ("key", "word", "value"),
    [
        ("width", "0012", 12),
        ("inner.rate", "1e-3", 1e-3),
        ("inner.rate", "2", 2.0),
        ("inner.rate", "inf", float("inf")),
        ("inner.pair", "0.5, 0.6", (0.5, 0.6)),
        ("kind", "fancy", "fancy"),
        ("level", "2", 2),
        ("bias", "False", False),
        ("name", "3", "3"),
        ("decay", "none", None),
        ("decay", "0", 0.0),
        ("label", "None", None),
        ("label", "no", "no"),
        ("sizes", "", ()),
        ("sizes", "7", (7,)),
        ("budget", "5e3 flops", Budget(5000, "flops")),
    ],
)
def test_a_word_is_read_as_the_type_of_its_field(key: str, word: str, value: Any) -> None:
    changed: Any = override(Outer(), {key: CliValue(word)}, "x.recipe")
    for part in key.split("."):
        changed = getattr(changed, part)
    assert changed == value
    assert type(changed) is type(value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("width", CliValue("four"), "x.recipe.width must be a whole number, not 'four'"),
        ("width", CliValue("4.0"), "a whole number"),
        ("width", "4", "a whole number"),
        ("width", True, "a whole number"),
        ("width", 0, "width must be positive"),
        ("inner.rate", CliValue("nan"), "x.recipe.inner.rate must be a number"),
        ("inner.pair", CliValue("1"), "a list of 2 values, each a number"),
        ("inner.pair", [1, "a"], "a list of 2 values"),
        ("bias", CliValue("yes"), "true or false"),
        ("bias", 1, "true or false"),
        ("name", 3, "must be text"),
        ("decay", CliValue("much"), "a number or none"),
        ("kind", CliValue("fancyy"), "Unknown value of x.recipe.kind 'fancyy'; did you mean fancy?"),
        ("sizes", 3, "a list of values, each a whole number"),
        ("budget", CliValue("3 apples"), "300steps"),
        ("budget", 3, "a budget such as 300steps"),
        ("widht", CliValue("3"), "did you mean x.recipe.width"),
        ("inner.rat", CliValue("3"), "x.recipe.inner.rate"),
        ("width.deep", CliValue("3"), "Unknown option 'x.recipe.width.deep'"),
        ("inner", CliValue("3"), "set one of x.recipe.inner.rate, x.recipe.inner.pair"),
        ("budget.amount", CliValue("3"), "Unknown option"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_expected(key: str, value: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        override(Outer(), {key: value}, "x.recipe")
    assert said in str(caught.value)


def test_changes_of_one_part_are_made_at_once_and_leave_the_rest() -> None:
    changed = override(Outer(name="kept"), {"inner.rate": 0.2, "inner.pair": [0, 1], "width": 5}, "x")
    assert changed == Outer(width=5, name="kept", inner=Inner(0.2, (0.0, 1.0)))


def test_keys_are_the_leaves() -> None:
    assert list(keys(Outer(), "a."))[:3] == ["a.width", "a.inner.rate", "a.inner.pair"]
    assert "a.budget" in list(keys(Outer(), "a."))


def test_plain_values_are_canonical_json() -> None:
    value = plain(Outer())
    assert value["budget"] == "10steps"
    assert value["inner"] == {"rate": 0.1, "pair": [0.9, 0.98]}
    assert canonical_json(value) == canonical_json(plain(Outer()))
    assert canonical_json(plain(Inner(rate=float("inf")))) == '{"pair":[0.9,0.98],"rate":"inf"}'


@pytest.mark.parametrize("text", ["width", "=3", " =3"])
def test_an_assignment_needs_a_key_and_an_equals_sign(text: str) -> None:
    with pytest.raises(UserError, match="key=value"):
        split_assignment(text)


def test_only_the_first_equals_sign_divides() -> None:
    assert split_assignment("a.b = x=y ") == ("a.b", "x=y")
