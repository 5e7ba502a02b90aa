"""Budgets are read, split and refused as documented."""

import pytest

from cosmos.budget import Budget
from cosmos.errors import UserError


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("300steps", 300, "steps"),
        ("90 seconds", 90, "seconds"),
        ("5e12flops", 5e12, "flops"),
        ("1.5Steps", 1.5, "steps"),
    ],
)
def test_parse_reads_number_and_unit(text: str, amount: float, unit: str) -> None:
    assert Budget.parse(text) == Budget(amount, unit)


@pytest.mark.parametrize(
    "budget", [Budget(300, "steps"), Budget(5e12, "flops"), Budget(0.5, "seconds"), Budget(1234567, "steps")]
)
def test_parse_inverts_str(budget: Budget) -> None:
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("text", ["300", "steps", "3 hours", "xsteps", ""])
def test_unreadable_budgets_say_how_to_write_one(text: str) -> None:
    with pytest.raises(UserError, match="300steps"):
        Budget.parse(text)


@pytest.mark.parametrize("text", ["0steps", "-4seconds", "nanflops", "infsteps", "1e400flops"])
def test_budgets_are_positive(text: str) -> None:
    with pytest.raises(UserError, match="positive"):
        Budget.parse(text)


def test_part_keeps_the_unit() -> None:
    assert Budget(10, "seconds").part(0.25) == Budget(2.5, "seconds")
