"""Corrections for many tests: by hand, against their definitions, and what they promise in simulation."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.stats.families import benjamini_hochberg, holm, holm_factors


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 4*.005, 3*.01, 2*.03, then .04 raised to .06
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm_by_hand(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.02, 0.04, 0.04, 0.02]),  # .04*4/4, .03*4/3, .01*4/2, .005*4/1
        ([0.5, 0.6], [0.6, 0.6]),
        ([0.9, 0.001, 0.9], [0.9, 0.003, 0.9]),
    ],
)
def test_benjamini_hochberg_by_hand(p_values, adjusted):
    assert benjamini_hochberg(p_values) == pytest.approx(adjusted)


def test_adjusted_values_decide_as_the_step_procedures_do():
    """Holm steps up from the smallest until one fails; Benjamini-Hochberg takes all below the largest that passes."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        ps = generator.beta(0.4, 2.0, size=generator.integers(1, 9))
        m, order = len(ps), np.argsort(ps)
        passed = [ps[index] <= 0.05 / (m - rank) for rank, index in enumerate(order)]
        count = next((rank for rank, ok in enumerate(passed) if not ok), m)
        assert {i for i, p in enumerate(holm(ps)) if p <= 0.05} == set(order[:count].tolist())
        below = [rank for rank, index in enumerate(order) if ps[index] <= 0.05 * (rank + 1) / m]
        count = max(below) + 1 if below else 0
        assert {i for i, p in enumerate(benjamini_hochberg(ps)) if p <= 0.05} == set(order[:count].tolist())


def test_holm_keeps_the_chance_of_any_false_claim():
    ps = np.random.default_rng(1).random((3000, 12))
    assert np.mean([min(holm(row)) <= 0.05 for row in ps]) == pytest.approx(0.05, abs=0.013)
    assert np.mean(ps.min(axis=1) <= 0.05) > 0.4  # what uncorrected tests would claim


def test_holm_is_stricter_than_benjamini_hochberg():
    ps = list(np.random.default_rng(2).random(30) ** 3)
    assert all(h >= b >= p for h, b, p in zip(holm(ps), benjamini_hochberg(ps), ps, strict=True))


def test_holm_factors_by_hand():
    """The third is raised to what the second came to: .06 / .04."""
    assert holm_factors([0.01, 0.04, 0.03, 0.005]) == pytest.approx([3, 1.5, 2, 4])
    assert holm_factors([0.6, 0.5]) == pytest.approx([1 / 0.6, 2])
    assert holm_factors([]) == []
