"""The front of quality and speed: by hand and by its definition."""

from __future__ import annotations

import numpy as np

from benchmarks.stats.pareto import dominated_by, front


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
