"""What is prepared follows from the budget: nothing for a few seconds, more the longer a training is."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import torch

from cosmos.training.budget import Budget
from cosmos.training.preparation import (
    COMPILING_SECONDS,
    FLOPS_PER_SECOND,
    KNOWN_SHARE,
    LENGTH_SECONDS,
    SPEED_UP,
    Preparation,
    compiling_seconds,
    prepare,
)

RAGGED = (torch.arange(8, 97), 96)
BREAK_EVEN = (COMPILING_SECONDS + LENGTH_SECONDS[True]) * SPEED_UP / (SPEED_UP - 1.0)  # seconds, with one shape


def auto(
    amount: float,
    unit: str = "seconds",
    ragged: tuple[torch.Tensor, int] | None = None,
    known: Collection[int] | None = None,
) -> Preparation:
    budget = Budget(amount, unit)  # type: ignore[arg-type]
    options = (False, True)
    return prepare(budget, lambda: FLOPS_PER_SECOND, compile_options=options, ragged=ragged, buckets=0, known=known)


@pytest.mark.parametrize("unit", ["seconds", "steps", "flops"])
def test_compiling_pays_from_the_break_even_on(unit: str) -> None:
    """A step takes one second here, so that all budgets are of one length."""
    scale = FLOPS_PER_SECOND if unit == "flops" else 1.0
    assert not auto(scale * 0.9 * BREAK_EVEN, unit).compiled
    assert auto(scale * 1.1 * BREAK_EVEN, unit).compiled


def test_more_lengths_for_longer_trainings() -> None:
    found = [auto(seconds, ragged=RAGGED) for seconds in (3, 150, 300, 3000, 1e6)]
    assert [part.compiled for part in found] == [False, True, True, True, True]
    lengths = [len(part.sizes) for part in found[1:]]
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]
    assert all(part.sizes[-1] == 96 for part in found)


def test_what_is_asked_for_is_done() -> None:
    def never() -> float:
        pytest.fail("nothing is to be found out")

    def asked(compiled: bool, buckets: int) -> Preparation:
        return prepare(Budget(1, "steps"), never, compile_options=(compiled,), ragged=RAGGED, buckets=buckets)

    assert asked(True, 2).compiled and len(asked(True, 2).sizes) == 2
    assert asked(False, 1) == Preparation(False, (96,))


def test_a_budget_that_is_shorter_than_any_preparation_has_one_length() -> None:
    assert auto(0.2, ragged=RAGGED) == Preparation(False, (96,))


@pytest.mark.parametrize("known", [(), (96,), (48, 96)])
@pytest.mark.parametrize("unit", ["seconds", "steps", "flops"])
def test_a_network_that_was_compiled_before_pays_much_sooner(unit: str, known: tuple[int, ...]) -> None:
    """Such as a student, of the denoiser's shape; three fifths of a minute were too short for one not yet compiled."""
    scale = FLOPS_PER_SECOND if unit == "flops" else 1.0
    ragged = (torch.tensor([96]), 96) if known else None
    for share in (0.9, 1.1):
        assert auto(scale * share * KNOWN_SHARE * BREAK_EVEN, unit, ragged, known).compiled == (share > 1)
        assert not auto(scale * share * KNOWN_SHARE * BREAK_EVEN, unit, ragged).compiled
    assert auto(scale * 59, unit, ragged, known).compiled and not auto(scale * 59, unit, ragged).compiled


def test_lengths_that_were_not_compiled_cost_what_they_cost() -> None:
    each = LENGTH_SECONDS[True]
    assert compiling_seconds((), None) == compiling_seconds((96,), None) == COMPILING_SECONDS + each
    assert compiling_seconds((), ()) == compiling_seconds((96,), {96}) == KNOWN_SHARE * compiling_seconds((), None)
    assert compiling_seconds((48, 96), {96}) == pytest.approx(compiling_seconds((96,), {96}) + each)
    assert compiling_seconds((48,), ()) == pytest.approx(KNOWN_SHARE * COMPILING_SECONDS + each)
    assert compiling_seconds((24, 48, 96), {24, 48, 96}) == pytest.approx(KNOWN_SHARE * (COMPILING_SECONDS + 3 * each))
