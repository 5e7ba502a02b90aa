"""Which systems are worth having, when both quality and speed count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.stats.intervals import Array


def dominated_by(qualities: Sequence[float], speeds: Sequence[float]) -> list[int | None]:
    """For each point the index of one that dominates it, or None if it is on the front.

    A point dominates another if it is at least as good in both and better in one; higher is better in both (negate what
    is the other way round). Of several the fastest is named, then the best, then the first. Equal points are both on
    the front or both off it.
    """
    assert len(qualities) == len(speeds), "one quality and one speed per point"
    points = list(zip(qualities, speeds, strict=True))

    def rank(index: int) -> tuple[float, float, int]:
        quality, speed = points[index]
        return (-speed, -quality, index)

    out: list[int | None] = []
    for quality, speed in points:
        better = [
            index
            for index, other in enumerate(points)
            if other != (quality, speed) and other[0] >= quality and other[1] >= speed
        ]
        out.append(min(better, key=rank, default=None))
    return out


def front(qualities: Sequence[float], speeds: Sequence[float]) -> list[int]:
    """The indices of the points that no other dominates, from slowest to fastest."""
    on = [index for index, other in enumerate(dominated_by(qualities, speeds)) if other is None]
    return sorted(on, key=lambda index: (speeds[index], index))


def front_shares(qualities: Array, speeds: Array) -> Array:
    """The share of draws in which each point is on the front: shape (draws, points) twice, to (points,).

    One draw holds a quality and a speed of every point; higher is better in both. What is equal in both is on the
    front or off it together, so shares need not add up to any number.
    """
    assert qualities.shape == speeds.shape, "one quality and one speed per draw and point"
    on = np.empty(qualities.shape, dtype=bool)
    for point in range(qualities.shape[1]):
        quality, speed = qualities[:, [point]], speeds[:, [point]]  # (draws, 1)
        as_good = (qualities >= quality) & (speeds >= speed)
        better = (qualities > quality) | (speeds > speed)
        on[:, point] = ~(as_good & better).any(axis=1)
    shares: Array = on.mean(axis=0)
    return shares
