"""Bootstrap intervals against the truth: coverage on known distributions, closed forms of draws, laws."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from benchmarks.stats.bootstrap import interval, mean_interval, ratio_interval


def coverage(draw, truth, make, repeats=1500):
    """How often the interval of a fresh sample holds the truth."""
    generator = np.random.default_rng(20250601)
    hits = 0
    for repeat in range(repeats):
        limits = make(draw(generator), repeat)
        hits += limits.low <= truth <= limits.high
    return hits / repeats


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_mean_interval_covers_what_it_promises(method):
    share = coverage(
        lambda g: g.normal(3.0, 2.0, size=120), 3.0, lambda v, s: mean_interval(v, seed=s, draws=600, method=method)
    )
    assert 0.93 <= share <= 0.97


def test_interval_of_a_share_covers_what_it_promises():
    share = coverage(
        lambda g: (g.random(200) < 0.3).astype(float), 0.3, lambda v, s: mean_interval(v, seed=s, draws=600)
    )
    assert 0.93 <= share <= 0.97


def test_interval_of_a_ratio_covers_what_it_promises():
    def draw(generator):
        sizes = generator.integers(5, 25, size=150).astype(float)
        return np.stack([generator.binomial(sizes.astype(int), 0.4), sizes])

    share = coverage(draw, 0.4, lambda v, s: ratio_interval(v[0], v[1], seed=s, draws=600))
    assert 0.93 <= share <= 0.97


def test_bca_is_less_often_too_low_for_skewed_values():
    """Mean of 30 lognormal values: the percentile interval ends too low too often, BCa less so (on the same draws)."""
    generator = np.random.default_rng(9)
    truth, too_low = math.exp(0.5), {"percentile": 0, "bca": 0}
    for repeat in range(1000):
        values = generator.lognormal(size=30)
        for method in too_low:
            too_low[method] += mean_interval(values, seed=repeat, draws=600, method=method).high < truth
    assert too_low["percentile"] > 50  # twice what it promises
    assert too_low["bca"] < 0.95 * too_low["percentile"]


def test_percentile_limits_are_those_of_all_draws():
    """Three texts have 27 equally likely draws; the interval at 80 % is the quantile of these, whatever the seed."""
    values = [0.0, 1.0, 5.0]
    means = sorted(sum(draw) / 3 for draw in itertools.product(values, repeat=3))
    low, high = np.quantile(np.repeat(means, 1000), [0.1, 0.9])
    for seed in range(3):
        limits = mean_interval(values, seed=seed, draws=40_000, level=0.8)
        assert (limits.low, limits.high) == pytest.approx((low, high))


def test_width_is_that_of_the_normal_limit():
    values = np.random.default_rng(1).normal(size=2000)
    limits = mean_interval(values, draws=8000)
    half = NormalDist().inv_cdf(0.975) * values.std() / math.sqrt(2000)
    assert limits.high - limits.low == pytest.approx(2 * half, rel=0.04)


def test_bca_of_symmetric_values_is_nearly_the_percentile_interval():
    values = [-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0] * 10
    plain = mean_interval(values, draws=20_000)
    corrected = mean_interval(values, draws=20_000, method="bca")
    assert corrected.low == pytest.approx(plain.low, abs=0.02)
    assert corrected.high == pytest.approx(plain.high, abs=0.02)


def test_bca_moves_both_limits_towards_the_long_tail():
    values = np.random.default_rng(5).lognormal(size=60)
    plain = mean_interval(values, draws=4000)
    corrected = mean_interval(values, draws=4000, method="bca")
    assert corrected.low > plain.low
    assert corrected.high > plain.high


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_order_of_texts_does_not_matter(method):
    generator = np.random.default_rng(0)
    rows = generator.random((80, 3))

    def statistic(sums):
        return sums[:, 0] * sums[:, 1] / sums[:, 2] ** 2

    one = interval(rows, statistic, method=method)
    other = interval(rows[generator.permutation(80)], statistic, method=method)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-12)


def test_chunks_cover_every_draw():
    """With many texts the draws come in chunks of a few; their number and spread must not change."""
    values = np.random.default_rng(2).normal(size=30_000)
    limits = mean_interval(values, draws=500)
    half = 1.96 * values.std() / math.sqrt(30_000)
    assert limits.low == pytest.approx(values.mean() - half, abs=0.2 * half)
    assert limits.high == pytest.approx(values.mean() + half, abs=0.2 * half)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_equal_values_give_no_width(method):
    limits = mean_interval([1.0] * 50, method=method)
    assert (limits.low, limits.high) == (1.0, 1.0)


def test_same_seed_same_interval():
    values = np.random.default_rng(3).random(60)
    assert mean_interval(values, seed=4) == mean_interval(values, seed=4)
    assert mean_interval(values, seed=4) != mean_interval(values, seed=5)


def test_one_text_has_no_interval():
    with pytest.raises(AssertionError, match="two texts"):
        mean_interval([1.0])


def test_bca_agrees_with_scipy():
    """Recorded from scipy 1.17.1: stats.bootstrap((values,), mean, n_resamples=40000, method="BCa", random_state=1)."""
    values = np.random.default_rng(0).lognormal(size=40)
    limits = mean_interval(values, draws=40_000, method="bca")
    assert (limits.low, limits.high) == pytest.approx((0.9973, 1.6392), abs=0.006)
