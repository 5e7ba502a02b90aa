"""What is known of a change holds the truth as often as it says, and finds no change where there is none: simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.stats.evidence import StudentEvidence, TextEvidence, bootstrap_limits, resampled_means
from benchmarks.stats.families import benjamini_hochberg, holm, table_factors
from benchmarks.stats.intervals import SeedVariance, over_seeds

REPEATS = 400
LEAST = 0.92  # of 400 histories, 0.95 less three standard errors

KINDS = {
    "spread evenly": (lambda g, n: g.normal(0.03, 0.2, n), 0.03),
    "skewed": (lambda g, n: g.exponential(0.2, n) - 0.15, 0.05),
    "zeros and ones": (lambda g, n: (g.random(n) < 0.3) * 1.0 - (g.random(n) < 0.25), 0.05),
    "mostly equal": (lambda g, n: (g.random(n) < 0.15) * g.normal(0.2, 0.3, n), 0.03),
}


@pytest.mark.parametrize("kind", KINDS)
def test_paired_limits_hold_the_truth(kind: str) -> None:
    draw, truth = KINDS[kind]
    generator = np.random.default_rng(1)
    found = [TextEvidence(draw(generator, 80)).interval() for _ in range(REPEATS)]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= LEAST


def test_paired_limits_are_those_of_the_bootstrap_and_the_closed_form_together() -> None:
    differences = np.random.default_rng(3).exponential(1.0, 40) - 1
    limits = TextEvidence(differences).interval()
    drawn = bootstrap_limits(resampled_means(differences), 40, 0.95)
    assert limits.low <= drawn[0] and limits.high >= drawn[1]
    assert bootstrap_limits(resampled_means(differences), 40, 0.9999) is None  # so far out there are too few draws


def test_the_bootstrap_does_not_depend_on_the_order_of_texts() -> None:
    differences = np.random.default_rng(3).normal(size=50)
    assert np.array_equal(resampled_means(differences), resampled_means(differences[::-1]))


def test_no_change_is_found_where_there_is_none() -> None:
    generator = np.random.default_rng(5)
    p_values = [TextEvidence(generator.normal(0, 0.2, 60), flips=1000).p for _ in range(REPEATS)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / REPEATS)


def test_what_can_be_detected_is_detected_four_times_in_five() -> None:
    generator = np.random.default_rng(7)
    size = float(np.mean([TextEvidence(generator.normal(0, 0.2, 100)).detectable() for _ in range(50)]))
    found = [TextEvidence(generator.normal(size, 0.2, 100), flips=1000).p <= 0.05 for _ in range(200)]
    assert 0.7 < np.mean(found) < 0.9


def test_of_texts_that_never_differ_rare_changes_are_what_can_be_detected() -> None:
    """A share of the texts changes by 1: at the detectable share the sign flips see it four times in five."""
    generator = np.random.default_rng(8)
    for tests in (1.0, 20.0):
        size = TextEvidence(np.zeros(100)).detectable(tests)
        drawn = (generator.random((400, 100)) < size).astype(float)
        assert np.mean([tests * TextEvidence(row).p <= 0.05 for row in drawn]) == pytest.approx(0.8, abs=0.06)
    assert TextEvidence(np.zeros(5)).detectable() is None  # all of five that change are p = 1/16


def test_seeds_are_a_level_of_their_own() -> None:
    """Two systems that are equal, of three trainings each, whose trainings differ: texts alone call them unlike."""
    generator = np.random.default_rng(11)
    covered, alarms, naive = [], [], []
    for _ in range(200):
        hard = generator.normal(0, 0.1, 60)
        sides = [
            [hard + luck + generator.normal(0, 0.1, 60) for luck in generator.normal(0, 0.05, 3)] for _ in range(2)
        ]
        means = [[float(seed.mean()) for seed in side] for side in sides]
        tables = [[dict(enumerate(seed.tolist())) for seed in side] for side in sides]
        variance = over_seeds(means[0], tables[0]) + over_seeds(means[1], tables[1])
        apart = np.mean(sides[1], axis=0) - np.mean(sides[0], axis=0)
        both, texts = TextEvidence(apart, variance, flips=1000), TextEvidence(apart, flips=1000)
        limits = both.interval()
        covered.append(limits.low <= 0 <= limits.high)
        alarms.append(both.p <= 0.05)
        naive.append(texts.p <= 0.05)
    assert np.mean(covered) >= 0.92
    assert np.mean(alarms) <= 0.08
    assert np.mean(naive) > 0.3


def test_a_ratio_is_held_and_nothing_is_claimed_without_spread() -> None:
    generator = np.random.default_rng(13)
    held = []
    for _ in range(REPEATS):
        a, b = generator.normal(0, 0.03, 6), generator.normal(math.log(1.1), 0.03, 6)
        variance = float(np.var(a, ddof=1) + np.var(b, ddof=1)) / 6
        limits = StudentEvidence(float(b.mean() - a.mean()), variance, 10, ratio=True).interval()
        held.append(limits.low <= 1.1 <= limits.high)
    assert np.mean(held) >= LEAST
    silent = StudentEvidence(0.2, 0.0, 5, ratio=True)
    assert (silent.p, silent.interval(), silent.detectable()) == (1.0, None, None)
    assert silent.change == pytest.approx(math.exp(0.2)) and silent.null == 1.0


def test_seeds_widen_what_documents_say_of_a_corpus() -> None:
    alone = StudentEvidence(1.0, 0.04, 99)
    both = StudentEvidence(1.0, 0.04, 99, seeds=SeedVariance(0.09, 2.0))
    assert both.interval().low < alone.interval().low < 1 < alone.interval().high < both.interval().high
    assert both.p > alone.p and both.detectable() > alone.detectable()


def test_one_table_is_corrected_by_holm() -> None:
    p_values = [0.001, 0.02, 0.04, 0.5]
    [factors] = table_factors([p_values])
    assert [min(1, f * p) for f, p in zip(factors, p_values, strict=True)] == pytest.approx(holm(p_values))
    assert table_factors([]) == [] and table_factors([[], [0.01]]) == [[], [1.0]]


def test_a_sweep_of_nothing_claims_something_in_one_of_twenty() -> None:
    """No table has a difference: some table claims one no more often than the level says."""
    generator = np.random.default_rng(17)
    claims = []
    for _ in range(1000):
        tables = [generator.random(4).tolist() for _ in range(5)]
        factors = table_factors(tables)
        claims.append(
            any(
                f * p <= 0.05 for own, some in zip(factors, tables, strict=True) for f, p in zip(own, some, strict=True)
            )
        )
    assert np.mean(claims) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1000)


def test_a_sweep_holds_the_share_of_claiming_tables_that_are_wrong() -> None:
    """Half of the tables have a large difference besides three that are none: of the tables that claim, few have a
    false claim; and a table with a difference is found as by Benjamini and Hochberg across tables."""
    generator = np.random.default_rng(19)
    shares = []
    for _ in range(500):
        tables = [
            [1e-6 * (place < 4) or float(generator.random()), *generator.random(3).tolist()] for place in range(8)
        ]
        factors = table_factors(tables)
        claimed = [
            [f * p <= 0.05 for f, p in zip(own, some, strict=True)] for own, some in zip(factors, tables, strict=True)
        ]
        wrong = [any(own[1:]) or (own[0] and place >= 4) for place, own in enumerate(claimed)]
        shares.append(sum(wrong) / max(1, sum(map(any, claimed))))
        chosen = [p <= 0.05 for p in benjamini_hochberg([min(1.0, min(holm(some))) for some in tables])]
        assert [any(own) for own in claimed] == chosen
    assert np.mean(shares) <= 0.05 + 0.01
