"""Curves against closed forms: interpolation in the logarithm of time, what is refused, and intervals that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.stats.bootstrap import resampled_counts
from benchmarks.stats.curves import limits, quality_at, time_at

TIMES, QUALITIES = np.array([[1.0, 4.0, 16.0]]), np.array([[0.2, 0.6, 0.7]])


def at_time(time: float, times: np.ndarray = TIMES, qualities: np.ndarray = QUALITIES) -> float:
    return float(quality_at(np.array([time]), times, qualities)[0])


def at_quality(quality: float, times: np.ndarray = TIMES, qualities: np.ndarray = QUALITIES) -> float:
    return float(time_at(np.array([quality]), times, qualities)[0])


@pytest.mark.parametrize(("time", "quality"), [(1.0, 0.2), (2.0, 0.4), (4.0, 0.6), (8.0, 0.65), (16.0, 0.7)])
def test_quality_is_linear_in_the_logarithm_of_time_and_back(time: float, quality: float) -> None:
    assert at_time(time) == pytest.approx(quality, abs=1e-12)
    assert at_quality(quality) == pytest.approx(time, rel=1e-12)


@pytest.mark.parametrize("time", [0.999, 16.001])
def test_nothing_is_read_beyond_the_ends_in_time(time: float) -> None:
    assert math.isnan(at_time(time))


@pytest.mark.parametrize("quality", [0.199, 0.701])
def test_nothing_is_read_beyond_the_ends_in_quality(quality: float) -> None:
    assert math.isnan(at_quality(quality))


def test_the_order_of_points_and_of_units_does_not_matter() -> None:
    for order in ([2, 0, 1], [1, 2, 0]):
        assert at_time(2.0, TIMES[:, order], QUALITIES[:, order]) == pytest.approx(0.4)
        assert at_quality(0.4, TIMES[:, order], QUALITIES[:, order]) == pytest.approx(2.0)
    assert at_time(2e-3, 1e-3 * TIMES) == pytest.approx(0.4)
    assert at_time(2.0, TIMES, 100 * QUALITIES - 7) == pytest.approx(33.0)


def test_points_that_another_beats_in_both_are_passed_over() -> None:
    times, qualities = np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([[0.2, 0.1, 0.6, 0.5]])
    assert at_time(2.0, times, qualities) == pytest.approx(0.4), "not the 0.1 that a setting of that time has"
    assert at_quality(0.4, times, qualities) == pytest.approx(2.0)
    assert at_time(8.0, times, qualities) == pytest.approx(0.6), "more time was seen to bring nothing"
    assert math.isnan(at_time(8.1, times, qualities))
    assert math.isnan(at_quality(0.1, times, qualities))
    assert at_quality(0.2, times, qualities) == 1.0


def test_of_equal_times_the_best_counts_and_of_equal_qualities_the_fastest() -> None:
    times, qualities = np.array([[1.0, 1.0, 4.0, 9.0]]), np.array([[0.1, 0.2, 0.6, 0.6]])
    assert at_time(1.0, times, qualities) == 0.2
    assert at_time(2.0, times, qualities) == pytest.approx(0.4)
    assert at_quality(0.6, times, qualities) == pytest.approx(4.0)
    one = np.array([[3.0]])
    assert at_time(3.0, one, one) == 3.0 and math.isnan(at_time(2.9, one, one))
    assert at_quality(3.0, one, one) == 3.0 and math.isnan(at_quality(2.9, one, one))


def test_both_readings_undo_each_other_on_any_curve() -> None:
    """Of 500 random curves at once, where the reading is not refused."""
    generator = np.random.default_rng(3)
    times, qualities = np.exp(generator.normal(size=(500, 5))), generator.normal(size=(500, 5))
    asked = np.exp(generator.normal(size=500))
    reached = quality_at(asked, times, qualities)
    needed = time_at(np.nan_to_num(reached), times, qualities)
    there = np.isfinite(reached)
    assert 200 < there.sum() < 500
    assert (needed[there] <= asked[there] * (1 + 1e-9)).all(), "no more time than it was given"
    best = qualities.max(axis=1)
    rising = there & (reached < best - 1e-9)
    np.testing.assert_allclose(needed[rising], asked[rising], rtol=1e-9)
    one_by_one = [quality_at(asked[[n]], times[[n]], qualities[[n]])[0] for n in range(50)]
    np.testing.assert_array_equal(one_by_one, reached[:50])


def test_limits_hold_the_truth_as_often_as_they_say() -> None:
    """Of 400 experiments on a curve that is known: texts drawn with noise they share, rounds of times with noise."""
    generator = np.random.default_rng(11)
    n, rounds, draws = 60, 12, 400
    truth, times = np.array([0.2, 0.6, 0.7]), np.array([1.0, 4.0, 16.0])
    held = []
    for _ in range(400):
        hard = generator.normal(0, 0.15, size=(n, 1))
        texts = truth + hard + generator.normal(0, 0.2, size=(n, 3))
        timed = times * np.exp(generator.normal(0, 0.05, size=(rounds, 3)))
        qualities = resampled_counts(n, draws, generator) @ texts / n
        seconds = np.stack(
            [resampled_counts(rounds, draws, generator) @ timed[:, k] / rounds for k in range(3)], axis=1
        )
        found = limits(quality_at(np.full(draws, 2.0), seconds, qualities), rounds)
        assert found is not None
        held.append(found.low <= 0.4 <= found.high)
    assert 0.93 <= np.mean(held) <= 0.995


def test_limits_are_those_of_the_normal_law_for_many_observations() -> None:
    draws = np.random.default_rng(0).standard_normal(200_000)
    found = limits(draws, 1_000_000)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(-1.96, abs=0.02), pytest.approx(1.96, abs=0.02))
    few = limits(draws, 5)
    assert few is not None and few.high == pytest.approx(2.776 * math.sqrt(5 / 4), abs=0.1), "Student's t of 5"


@pytest.mark.parametrize("outside", [0.04, 0.06])
def test_too_many_draws_beyond_the_ends_leave_no_interval(outside: float) -> None:
    draws = np.random.default_rng(0).standard_normal(1000)
    draws[: round(1000 * outside)] = np.nan
    assert (limits(draws, 100) is None) == (outside > 0.05)
    assert limits(draws, 1) is None
    assert limits(np.full(10, np.nan), 100) is None
