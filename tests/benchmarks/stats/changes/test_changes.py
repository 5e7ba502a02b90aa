"""Change points keep what they promise, over simulated histories, and agree with the field's reference."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.stats.changes import FEWEST, Change, changes, unordered_p

HISTORIES = 200
ORACLE = json.loads((Path(__file__).parent / "otava.json").read_text())


def simulated(number: int, n: int, *, shift: float = 0.0, at: int = 0, heavy: bool = False) -> np.ndarray:
    rng = np.random.default_rng([number, n])
    values = rng.standard_t(2, size=n) if heavy else rng.normal(size=n)
    values[at:] += shift if at else 0.0
    return values


def found_in(values: np.ndarray) -> tuple[Change, ...]:
    return changes(values, unordered_p(values))


@pytest.mark.parametrize(("n", "heavy"), [(10, False), (24, False), (24, True), (40, True)])
def test_false_alarms_are_as_rare_as_the_level_says(n: int, heavy: bool) -> None:
    """Of 200 histories in which nothing changes, no more say otherwise than at 5 % happens in one of 200 tests."""
    alarms = sum(bool(found_in(simulated(number, n, heavy=heavy))) for number in range(HISTORIES))
    assert alarms <= stats.binom.ppf(0.995, HISTORIES, 0.05)
    assert alarms > 0  # or it would say nothing ever


def test_a_change_is_found_where_it_is_and_no_other() -> None:
    """A step of 2.5 standard deviations in 200 histories of 30: seen, placed within its set at 95 %, and alone."""
    seen = covered = others = 0
    widths = []
    for number in range(HISTORIES):
        at = 8 + number % 15
        found = found_in(simulated(number, 30, shift=2.5, at=at))
        seen += bool(found)
        if found:
            nearest = min(found, key=lambda change: abs(change.index - at))
            covered += nearest.first <= at <= nearest.last
            widths.append(nearest.last - nearest.first + 1)
            others += len(found) > 1
    assert seen >= 0.95 * HISTORIES
    assert covered >= stats.binom.ppf(0.01, seen, 0.95)
    assert others <= stats.binom.ppf(0.995, seen, 0.05)
    assert np.mean(widths) < 6


def test_an_innocent_history_with_a_change_elsewhere_does_not_suffer() -> None:
    """Of 200 series of which a tenth changed, the share of false ones among those that are told is within the level."""
    from benchmarks.stats import benjamini_hochberg

    series = [simulated(n, 24, shift=4.0 if n % 10 == 0 else 0.0, at=12) for n in range(HISTORIES)]
    adjusted = benjamini_hochberg([unordered_p(values, shuffles=4000) for values in series])
    told = [number for number, p in enumerate(adjusted) if p <= 0.05]
    assert sum(number % 10 == 0 for number in told) == HISTORIES // 10
    assert sum(number % 10 != 0 for number in told) <= 3


@pytest.mark.parametrize("pattern", ORACLE["patterns"], ids=lambda pattern: pattern["name"])
def test_it_agrees_with_otava(pattern: dict) -> None:
    """What Otava finds is found, within its set of places and a point; where nothing shifts, nothing is."""
    found = found_in(np.array(pattern["values"]))
    shifts = pattern["name"] not in ("outlier", "variance alone")  # true changes, of another kind than a level
    for index in {*pattern["otava"], *(pattern["true"] if shifts else ())}:
        assert any(change.first - 1 <= index <= change.last + 1 for change in found), index
    if not pattern["otava"] and not (pattern["true"] and shifts):
        assert not found


def test_the_oracle_says_something() -> None:
    assert sum(bool(pattern["otava"]) for pattern in ORACLE["patterns"]) >= 8
    assert set(ORACLE["made_with"]) == {"apache-otava", "otava-test-data", "numpy"}


def test_the_least_p_value_is_that_of_counting() -> None:
    """Of eight points, four low and four high: 2 of the 70 orders are as extreme."""
    values = np.array([1.0, 1.1, 1.2, 1.3, 2.0, 2.1, 2.2, 2.3])
    assert unordered_p(values, shuffles=20_000) == pytest.approx(2 / math.comb(8, 4), abs=0.004)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0] * 2, [0.0] * 3 + [1.0] * 4, [3.0] * 50])
def test_too_few_or_constant_points_never_change(values: list[float]) -> None:
    assert unordered_p(np.array(values)) == 1.0 and found_in(np.array(values)) == ()


def test_fewest_is_the_least_that_can_tell() -> None:
    below = np.repeat([0.0, 1.0], [FEWEST // 2, FEWEST // 2])
    assert len(below) == FEWEST and unordered_p(below) < 0.05


def test_deterministic_scores_that_step_have_a_degenerate_interval() -> None:
    [change] = found_in(np.repeat([0.5, 0.48], 12))
    assert change.index == 12 and (change.before, change.after) == pytest.approx((0.5, 0.48))
    assert change.low == change.difference == change.high == pytest.approx(-0.02)


def test_an_outlier_is_no_change_and_hides_none() -> None:
    values = np.random.default_rng(0).normal(100.0, 1.0, 40)
    values[11] = 400.0
    assert found_in(values) == ()
    values[25:] += 5.0
    assert [change.index for change in found_in(values)] == [25]


def test_a_monotone_scale_changes_nothing_but_numbers() -> None:
    values = simulated(3, 30, shift=3.0, at=14) + 20.0
    places = [
        [(change.index, change.first, change.last) for change in found_in(each)] for each in (values, np.log(values))
    ]
    assert places[0] == places[1] != []


def test_a_factor_of_a_family_can_silence_it() -> None:
    values = simulated(1, 24, shift=3.0, at=12)
    p = unordered_p(values)
    assert changes(values, p) and not changes(values, p, factor=0.06 / p)
