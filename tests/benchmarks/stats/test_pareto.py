"""The front of quality and speed: by hand and by its definition."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.stats.pareto import dominated_by, front, front_shares


def test_front_by_hand():
    qualities = [0.9, 0.5, 0.7, 0.4, 0.7]
    speeds = [1.0, 10.0, 5.0, 9.0, 4.0]
    assert dominated_by(qualities, speeds) == [None, None, None, 1, 2]
    assert front(qualities, speeds) == [0, 2, 1]


def test_the_fastest_rival_is_named():
    assert dominated_by([0.1, 0.5, 0.9], [1.0, 3.0, 2.0]) == [1, None, None]


def test_equal_points_share_the_front():
    assert front([0.5, 0.5, 0.5], [2.0, 2.0, 1.0]) == [0, 1]


def test_one_point_and_none():
    assert front([0.5], [1.0]) == [0]
    assert front([], []) == []


def test_front_is_its_definition():
    generator = np.random.default_rng(0)
    for _ in range(50):
        qualities, speeds = generator.integers(0, 6, size=(2, 15)).tolist()
        expected = {
            i
            for i in range(15)
            if not any(
                qualities[j] >= qualities[i]
                and speeds[j] >= speeds[i]
                and (qualities[j], speeds[j]) != (qualities[i], speeds[i])
                for j in range(15)
            )
        }
        assert set(front(qualities, speeds)) == expected


def test_shares_of_the_front_are_those_of_its_draws():
    generator = np.random.default_rng(1)
    qualities, speeds = generator.integers(0, 4, size=(2, 60, 5)).astype(float)
    on = np.zeros((60, 5))
    for draw in range(60):
        on[draw, front(qualities[draw].tolist(), speeds[draw].tolist())] = 1
    assert front_shares(qualities, speeds).tolist() == on.mean(axis=0).tolist()


def test_a_share_is_the_chance_to_be_the_better_one():
    """Equally fast, so who is better in a draw is on the front alone: normal values two standard errors apart."""
    generator = np.random.default_rng(2)
    qualities = generator.normal([0.0, 2.0], 1.0, size=(20_000, 2))
    shares = front_shares(qualities, np.ones((20_000, 2)))
    assert shares.sum() == 1.0
    assert shares[1] == pytest.approx(0.9214, abs=0.006)  # P(N(2, 2) > 0)
