"""Bootstrap intervals of corpus metrics against closed forms of draws, and laws. Coverage is in `test_coverage.py`."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit

from benchmarks.stats.bootstrap import interval


def of_mean(values, **options):
    values = np.asarray(values, dtype=float)
    return interval(np.stack([values, np.ones(len(values))], axis=1), lambda sums: sums[:, 0] / sums[:, 1], **options)


def test_limits_are_quantiles_of_all_draws():
    """Three texts have 27 equally likely draws; at 60 % Student's t and root 3/2 ask for the tails of 9.7 % each."""
    values = [0.0, 1.0, 5.0]
    means = sorted(sum(draw) / 3 for draw in itertools.product(values, repeat=3))
    tail = ndtr(-math.sqrt(3 / 2) * stdtrit(2, 0.8))
    low, high = np.quantile(np.repeat(means, 1000), [tail, 1 - tail])
    for seed in range(3):
        limits = of_mean(values, seed=seed, draws=40_000, level=0.6)
        assert (limits.low, limits.high) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [30, 100, 500])
def test_width_is_that_of_student(n):
    """Plain percentiles would be 3 % narrower at 30 by the variance, and 4 % by the normal quantile."""
    values = np.random.default_rng(1).normal(size=n)
    limits = of_mean(values, draws=20_000)
    half = stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)
    assert limits.high - limits.low == pytest.approx(2 * half, rel=0.035)


def test_order_of_texts_does_not_matter():
    generator = np.random.default_rng(0)
    rows = generator.random((80, 3))

    def statistic(sums):
        return sums[:, 0] * sums[:, 1] / sums[:, 2] ** 2

    one = interval(rows, statistic)
    other = interval(rows[generator.permutation(80)], statistic)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-12)


def test_chunks_cover_every_draw():
    """With many texts the draws come in chunks of a few; their number and spread must not change."""
    values = np.random.default_rng(2).normal(size=30_000)
    limits = of_mean(values, draws=500)
    half = 1.96 * values.std() / math.sqrt(30_000)
    assert limits.low == pytest.approx(values.mean() - half, abs=0.2 * half)
    assert limits.high == pytest.approx(values.mean() + half, abs=0.2 * half)


def test_equal_texts_have_no_interval():
    assert of_mean([1.0] * 50) is None


def test_same_seed_same_interval():
    values = np.random.default_rng(3).random(60)
    assert of_mean(values, seed=4) == of_mean(values, seed=4)
    assert of_mean(values, seed=4) != of_mean(values, seed=5)


def test_one_text_has_no_interval():
    with pytest.raises(AssertionError, match="two texts"):
        of_mean([1.0])
