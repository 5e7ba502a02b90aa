"""Paired comparisons: p-values by hand, uniform under the null, power where there is a difference, directions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from benchmarks.stats.families import holm_factors
from benchmarks.stats.intervals import Interval, SeedVariance
from benchmarks.stats.paired import adjusted, compare, decide, detectable_difference, sign_flip, unadjusted


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
    assert (found.difference, found.p, found.outcome) == (0.0, 1.0, "cannot tell")
    most = 1 - 0.025 ** (1 / 3)  # three texts without a difference leave room for so many
    assert (found.low, found.high) == pytest.approx((-most, most))


def test_one_text_decides_nothing():
    found = compare([1.0], [0.0])
    assert (found.outcome, found.low, found.high) == ("cannot tell", 0.0, 1.0)
    assert detectable_difference(found.differences) == math.inf


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


def test_no_interval_without_zero_stands_beside_cannot_tell():
    """A family of near misses: p-values and intervals are adjusted alike, whatever the kind of score."""
    generator = np.random.default_rng(7)
    for kind in range(3):
        family = []
        for shift in np.linspace(0, 0.12, 15):
            scores = generator.random((2, 200)) + np.array([[shift], [0]])
            if kind == 1:
                scores = (scores > 0.5).astype(float)
            elif kind == 2:
                scores = np.where(generator.random(200) < 0.9, 0.5, scores)
            family.append(compare(scores[0], scores[1]))
        factors = holm_factors([one.p for one in family])
        corrected = adjusted(family, factors)
        assert any(one.low > 0 for one in family)
        for one in corrected:
            assert (one.outcome == "cannot tell") == (one.low <= 0 <= one.high)
            assert one.outcome == "cannot tell" or one.p <= 0.05


def test_the_interval_of_a_family_is_wider_than_that_of_one():
    generator = np.random.default_rng(3)
    one = compare(generator.normal(0.3, 1, 200), np.zeros(200))
    [among] = adjusted([one], [21.0])
    assert (among.level, among.p) == (pytest.approx(1 - 0.05 / 21), pytest.approx(21 * one.p))
    widened = (among.high - among.difference) / (one.high - one.difference)
    assert widened == pytest.approx(3.075 / 1.972, rel=0.02)  # Student's t with 199 degrees of freedom


def test_seeds_widen_the_interval_and_raise_the_p_value():
    generator = np.random.default_rng(4)
    a, b = generator.normal(0.1, 0.3, 200), np.zeros(200)
    alone, over = compare(a, b), compare(a, b, seeds=SeedVariance(0.05**2, 2))
    assert alone.outcome == "better"
    assert over.outcome == "cannot tell"
    assert over.p > alone.p
    assert over.high - over.difference > 4.3 * 0.05  # Student's t of two degrees of freedom
    assert compare(a, b, seeds=SeedVariance(0.0, 2)).p == alone.p


def test_a_wrong_claim_over_seeds_is_rare():
    """Two systems that are alike but for what their three trainings make of it."""
    generator, repeats, wrong, texts_alone = np.random.default_rng(6), 200, 0, 0
    for repeat in range(repeats):
        of_seeds = generator.normal(0, 0.1, (2, 3))
        a, b = generator.normal(of_seeds.mean(axis=1)[:, None], 0.2, (2, 50))
        seeds = [SeedVariance(float(np.var(each, ddof=1)) / 3, 2) for each in of_seeds]
        wrong += compare(a, b, seed=repeat, seeds=seeds[0] + seeds[1]).outcome != "cannot tell"
        texts_alone += compare(a, b, seed=repeat).outcome != "cannot tell"
    assert wrong / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    assert texts_alone / repeats > 0.3


def test_the_corrected_difference_makes_the_best_of_seven_bold_four_times_in_five():
    """Seven systems and 200 texts: a lead over all others that shows needs two thirds more than one test alone."""
    rivals, texts = 6, 200
    generator = np.random.default_rng(8)
    flat = (generator.random((2, 20_000)) < 0.5).astype(float)
    scale = math.sqrt(20_000 / texts)
    alone = scale * detectable_difference(flat[0] - flat[1])
    lead = scale * detectable_difference(flat[0] - flat[1], tests=21, rivals=rivals)
    assert (alone, lead) == (pytest.approx(0.14, abs=0.005), pytest.approx(0.228, abs=0.008))

    def bold(difference, repeats):
        """How often the best is better than every other by the strictest step of Holm's correction."""
        chance = np.array([[0.5 + difference / 2], *[[0.5 - difference / 2]] * rivals])
        count = 0
        for _ in range(repeats):
            best, *others = (generator.random((1 + rivals, texts)) < chance).astype(float)
            count += all(
                one.outcome == "better"
                for one in adjusted([unadjusted(best - other) for other in others], [21.0] * rivals)
            )
        return count / repeats

    assert bold(lead, 150) == pytest.approx(0.8, abs=0.1)
    assert bold(alone, 60) < 0.3


def test_one_rival_needs_no_more_than_itself():
    differences = np.random.default_rng(0).normal(size=500)
    one = detectable_difference(differences)
    assert one == pytest.approx((1.965 + 0.8416) * differences.std(ddof=1) / math.sqrt(500), rel=1e-3)
    several = [detectable_difference(differences, rivals=rivals) / one for rivals in (1, 2, 6, 20)]
    assert several[0] == 1
    assert several == sorted(several)
    assert several[2] < (1.965 + 1.834) / (1.965 + 0.8416)  # what six that share nothing would need
