"""Budgets are read, split and refused as documented."""

import pytest

from cosmos.io.errors import UserError
from cosmos.training.budget import Budget, Cost


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


def test_costs_add_up_and_are_taken_off_in_a_budgets_unit() -> None:
    cost = Cost.total([Cost(1.5, 3e9), Cost(0.5, 1e9), Cost()])
    assert cost == Cost(2.0, 4e9)
    assert Cost.total([]) == Cost()
    assert cost.of_validation() == Cost(2.0, 0.0)
    assert Budget(10, "seconds").after(cost, "This") == Budget(8.0, "seconds")
    assert Budget(1e10, "flops").after(cost, "This") == Budget(6e9, "flops")
    assert Budget(5, "steps").after(cost, "This") == Budget(5, "steps")  # which pay for training alone
    with pytest.raises(UserError, match="This costs 4e\\+09flops, which uses up the budget of 4e\\+09flops"):
        Budget(4e9, "flops").after(cost, "This")
