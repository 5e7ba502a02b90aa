"""Paired comparisons: p-values by hand, uniform under the null, power where there is a difference, directions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from benchmarks.stats.intervals import Interval
from benchmarks.stats.paired import compare, decide, detectable_difference, sign_flip


def by_hand(differences):
    """The exact p-value from its definition: all sign patterns."""
    observed = abs(sum(differences))
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(value >= observed - 1e-12 for value in sums) / len(sums)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1.0, 2.0, 3.0], 2 / 8),  # only +++ and --- are as far from zero as 6
        ([1.0, 2.0, -3.0], 1.0),  # a sum of zero is as near as can be
        ([4.0, 1.0, 1.0, 1.0], 2 / 16),
        ([4.0, -1.0, 1.0, 1.0], 8 / 16),  # |sum| >= 5: the four has either sign, and at least two ones share it
        ([0.5, 0.0, 0.0], 1.0),  # one difference says nothing
        ([0.0, 0.0], 1.0),
        ([1.0] * 5, 2 / 32),
        ([1.0] * 8 + [-1.0] * 2, 2 * (1 + 10 + 45) / 1024),  # the sign test: 8 of 10
    ],
)
def test_small_cases_by_hand(differences, p):
    assert sign_flip(np.array(differences)) == pytest.approx(p)


def test_exact_test_is_its_definition():
    generator = np.random.default_rng(0)
    for n in range(1, 11):
        differences = generator.integers(-4, 5, size=n) / 4
        assert sign_flip(differences) == pytest.approx(by_hand(differences)), differences


def test_random_flips_agree_with_the_exact_test():
    """Sixteen differences are tested exactly; a seventeenth that is next to nothing makes the test random."""
    differences = np.random.default_rng(3).normal(0.4, 1.0, size=16)
    exact = sign_flip(differences)
    random = sign_flip(np.append(differences, 1e-9), flips=40_000)
    assert random == pytest.approx(exact, abs=0.01)


def test_random_p_value_is_never_zero():
    assert sign_flip(np.linspace(1, 2, 100), flips=999) == pytest.approx(1 / 1000)


@pytest.mark.parametrize("n", [12, 40])
def test_p_values_are_uniform_under_the_null(n):
    generator = np.random.default_rng(n)
    ps = np.array([sign_flip(generator.normal(size=n), seed=i, flips=400) for i in range(1200)])
    for alpha in (0.05, 0.1, 0.25, 0.5, 0.75):
        # three standard errors of a share of 1200, and the step of the p-values
        assert np.mean(ps <= alpha) == pytest.approx(alpha, abs=3 * math.sqrt(alpha * (1 - alpha) / 1200) + 1 / 400)


def test_p_values_of_shares_do_not_claim_too_much():
    generator = np.random.default_rng(8)
    ps = [
        sign_flip((generator.random(60) < 0.5).astype(float) - (generator.random(60) < 0.5).astype(float))
        for _ in range(1500)
    ]
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1500)


def test_a_wrong_claim_is_rare_and_a_right_one_is_made():
    generator = np.random.default_rng(11)
    nothing = [compare(generator.normal(size=50), generator.normal(size=50), seed=i) for i in range(300)]
    wrong = sum(found.outcome != "cannot tell" for found in nothing) / 300
    assert wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    shared = generator.normal(size=200)  # texts are easy or hard for both systems
    a, b = shared + generator.normal(0.3, 0.5, size=200), shared + generator.normal(0, 0.5, size=200)
    found = compare(a, b)
    assert found.outcome == "better"
    assert found.low < 0.3 < found.high
    assert compare(b, a).outcome == "worse"


def test_direction_turns_the_outcome_round():
    a, b = [1.0, 2.0, 3.0, 2.5, 1.5, 2.2, 3.1], [0.1, 0.9, 2.2, 1.4, 0.6, 1.0, 2.3]
    assert compare(a, b).outcome == "better"
    assert compare(a, b, direction="lower").outcome == "worse"


def test_texts_without_both_scores_are_left_out():
    found = compare([1.0, None, 0.0, 1.0], [0.0, 1.0, None, 1.0])
    assert found.n == 2
    assert found.difference == 0.5


def test_equal_systems_cannot_be_told_apart():
    values = [0.2, 0.4, 0.9]
    found = compare(values, values)
    assert (found.difference, found.low, found.high, found.p, found.outcome) == (0.0, 0.0, 0.0, 1.0, "cannot tell")


def test_one_text_decides_nothing():
    found = compare([1.0], [0.0])
    assert (found.outcome, found.low, found.high, found.detectable) == ("cannot tell", 1.0, 1.0, math.inf)


def test_both_p_and_interval_must_agree():
    wide, clear = Interval(-0.1, 0.5, 0.95), Interval(0.1, 0.5, 0.95)
    assert decide(0.3, 0.01, wide) == "cannot tell"
    assert decide(0.3, 0.06, clear) == "cannot tell"
    assert decide(0.3, 0.05, clear) == "better"
    assert decide(-0.3, 0.05, Interval(-0.5, -0.1, 0.95)) == "worse"


def test_detectable_difference_is_detected_four_times_in_five():
    generator = np.random.default_rng(2)
    size = detectable_difference(generator.normal(size=4000)) * math.sqrt(4000 / 60)  # for 60 texts
    assert size == pytest.approx((1.95996 + 0.84162) / math.sqrt(60), rel=0.03)
    found = [sign_flip(generator.normal(size, 1.0, size=60), seed=i, flips=400) <= 0.05 for i in range(600)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_order_of_texts_does_not_matter():
    generator = np.random.default_rng(4)
    a, b, order = generator.random(70), generator.random(70), generator.permutation(70)
    one, other = compare(a, b), compare(a[order], b[order])
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_unlike_lengths_are_our_fault():
    with pytest.raises(AssertionError, match="unlike texts"):
        compare([1.0], [1.0, 2.0])
