"""Ratios of rounds in processes: the level that is stated is kept, and what is said to be detectable is detected."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.stats import ratios
from benchmarks.stats.ratios import Spread, compare_rounds, detectable_ratio, log_ratios, spread_of

BETWEEN, WITHIN = 0.004**2, 0.01**2


def simulated(
    rng: np.random.Generator,
    processes: int,
    rounds: int,
    shift: float = 0.0,
    between: float = BETWEEN,
    within: float = WITHIN,
    stalls: float = 0.0,
) -> list[list[float]]:
    """Log ratios; in a share `stalls` of the rounds one of the two sides takes up to twenty times as long."""
    luck = rng.normal(shift, math.sqrt(between), (processes, 1))
    found = luck + rng.normal(0, math.sqrt(within), (processes, rounds))
    hit = rng.random((processes, rounds)) < stalls
    found += hit * rng.choice([-1, 1], (processes, rounds)) * rng.uniform(0.1, 3, (processes, rounds))
    return found.tolist()  # type: ignore[no-any-return]


def share(count: int, outcome: str, processes: int, rounds: int, seed: int = 0, **given: float) -> float:
    rng = np.random.default_rng(seed)
    found = [compare_rounds(simulated(rng, processes, rounds, **given)).outcome for _ in range(count)]
    return found.count(outcome) / count


def test_student_over_the_means_of_processes() -> None:
    """Three processes of equal rounds each: the interval of three numbers, by scipy."""
    middles = [0.01, 0.03, 0.02]
    found = compare_rounds([[middle] * 6 for middle in middles])
    low, high = stats.t.interval(0.95, 2, np.mean(middles), stats.sem(middles))
    assert math.log(found.ratio) == pytest.approx(0.02)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((low, high))
    assert found.p == pytest.approx(stats.ttest_1samp(middles, 0).pvalue)
    assert (found.processes, found.rounds, found.covers_processes) == (3, 6, True)


def test_one_process_is_a_trimmed_mean_as_scipy_has_it() -> None:
    rounds = [0.01, 0.02, -0.01, 0.5, 0.03, 0.015, 0.0, -0.4, 0.02, 0.01]
    found = compare_rounds([rounds])
    expected = stats.ttest_ind(rounds, [0.0] * 10, trim=0.2, equal_var=False)
    assert math.log(found.ratio) == pytest.approx(stats.trim_mean(rounds, 0.2))
    assert found.p == pytest.approx(expected.pvalue)
    assert not found.covers_processes


def test_what_is_known_of_processes_widens_the_interval_of_one() -> None:
    rounds = np.random.default_rng(0).normal(0.02, 0.01, 20).tolist()
    alone, widened = compare_rounds([rounds]), compare_rounds([rounds], known=Spread(0.02**2, 0.01**2, 5, 10))
    assert alone.outcome == "worse"
    assert widened.outcome == "cannot tell"
    assert widened.covers_processes
    assert widened.ratio == alone.ratio
    assert widened.low < alone.low
    assert widened.high > alone.high


def test_the_direction() -> None:
    assert log_ratios([2.0, 1.0], [4.0, 0.5]) == pytest.approx([math.log(2), -math.log(2)])
    assert compare_rounds([[0.1, 0.11, 0.1, 0.11, 0.1]] * 2 + [[0.1] * 5]).outcome == "worse"
    assert compare_rounds([[-0.1, -0.11, -0.1, -0.11, -0.1]] * 2 + [[-0.1] * 5]).outcome == "better"
    equal = compare_rounds([[0.0] * 5] * 3)
    assert (equal.outcome, equal.p, equal.ratio, equal.detectable) == ("cannot tell", 1.0, 1.0, 1.0)


@pytest.mark.parametrize(("processes", "rounds"), [(3, 5), (3, 10), (5, 8), (1, 10)])
@pytest.mark.parametrize("stalls", [0.0, 0.05])
def test_false_alarms_stay_near_the_stated_five_percent(processes: int, rounds: int, stalls: float) -> None:
    """A against A. Of one process alone nothing is claimed beyond it, so there processes do not differ."""
    between = BETWEEN if processes > 1 else 0.0
    alarms = 1 - share(2000, "cannot tell", processes, rounds, between=between, stalls=stalls)
    assert 0.02 <= alarms <= 0.08


def test_what_is_detectable_is_found_with_the_stated_power() -> None:
    spread = Spread(BETWEEN, WITHIN, 5, 10)
    for processes, rounds in ((3, 10), (6, 10)):
        shift = math.log(detectable_ratio(spread, processes, rounds))
        # Trimming loses a little of what means would show, which the estimated spread includes and the true one lacks.
        assert 0.74 <= share(1000, "worse", processes, rounds, shift=shift) <= 0.86


@pytest.mark.parametrize(("freedom", "effect"), [(4.0, 2.0), (9.0, 3.0), (30.0, 2.5)])
def test_power_is_that_of_the_noncentral_t(freedom: float, effect: float) -> None:
    limit = stats.t.ppf(0.975, freedom)
    power = float(stats.nct.sf(limit, freedom, effect) + stats.nct.cdf(-limit, freedom, effect))
    assert ratios._detectable(freedom, 0.95, power) == pytest.approx(effect, rel=2e-3)


def test_the_variances_come_out_as_they_went_in() -> None:
    rng = np.random.default_rng(3)
    spread = spread_of(simulated(rng, 400, 20))
    assert spread.between == pytest.approx(BETWEEN, rel=0.2)
    assert spread.within == pytest.approx(WITHIN * 1.1, rel=0.15)  # trimming a fifth on either side costs a tenth
    assert (spread.processes, spread.rounds) == (400, 20)
    assert spread_of([[0.0, 0.1, 0.2, 0.3, 0.4]] * 3).between == 0.0


def test_more_processes_detect_more_and_rounds_only_up_to_a_point() -> None:
    spread = Spread(BETWEEN, WITHIN, 5, 10)
    assert detectable_ratio(spread, 10, 10) < detectable_ratio(spread, 3, 10)
    endless = detectable_ratio(spread, 3, 10_000)
    assert 1 < endless < detectable_ratio(spread, 3, 10)
    assert math.log(endless) == pytest.approx(ratios._detectable(2.0, 0.95, 0.8) * math.sqrt(BETWEEN / 3), rel=1e-2)
    assert detectable_ratio(spread, 3, 10, power=0.9) > detectable_ratio(spread, 3, 10)


def test_too_few_rounds_or_processes_are_a_fault_of_the_caller() -> None:
    with pytest.raises(AssertionError, match="4 rounds"):
        compare_rounds([[0.1] * 4])
    with pytest.raises(AssertionError, match="one process"):
        spread_of([[0.1] * 5])
