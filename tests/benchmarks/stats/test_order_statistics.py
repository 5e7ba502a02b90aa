"""Quantiles and their distribution-free intervals."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.stats.order_statistics import fewest, quantile, quantile_limits


def test_quantiles_lie_between_neighbours() -> None:
    values = [1.0, 2.0, 4.0]
    assert [quantile(values, share) for share in (0.0, 0.25, 0.5, 0.9, 1.0)] == pytest.approx([1, 1.5, 2, 3.6, 4])
    assert quantile([7.0], 0.9) == 7.0
    assert quantile(values, 0.9) == pytest.approx(float(np.quantile(values, 0.9)))


def test_limits_of_a_median_are_those_of_the_sign_test() -> None:
    nine = [float(n) for n in range(1, 10)]
    assert quantile_limits(nine, 0.5) == (2.0, 8.0)  # 96.1 %
    assert quantile_limits(nine[:5], 0.5) is None
    assert quantile_limits(nine[:6], 0.5) == (1.0, 6.0)
    assert quantile_limits([], 0.5) is None


def test_high_quantiles_need_many() -> None:
    assert quantile_limits([float(n) for n in range(35)], 0.9) is None
    assert quantile_limits([float(n) for n in range(100)], 0.99) is None
    assert quantile_limits([float(n) for n in range(400)], 0.99) is not None


@pytest.mark.parametrize(("share", "count"), [(0.5, 6), (0.9, 36), (0.1, 36), (0.99, 368)])
def test_so_many_and_no_fewer_have_limits(share: float, count: int) -> None:
    values = [float(n) for n in range(count)]
    assert fewest(share) == count
    assert quantile_limits(values, share) is not None and quantile_limits(values[1:], share) is None


@pytest.mark.parametrize(("share", "count"), [(0.5, 25), (0.9, 60), (0.9, 200)])
def test_limits_hold_the_quantile_as_often_as_they_say(share: float, count: int) -> None:
    rng = np.random.default_rng(5)
    truth, hits = -np.log(1 - share), 0
    for _ in range(600):
        limits = quantile_limits(sorted(rng.exponential(1.0, count)), share)
        assert limits is not None
        hits += limits[0] <= truth <= limits[1]
    assert hits / 600 >= 0.935
