"""Many tests at once: p-values corrected so that the family keeps its promise."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the given order, that hold the chance of any false claim in the family (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1, made monotone, and cut at 1. Right whatever the dependence
    between the tests.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in order, that hold the expected share of false claims (Benjamini and Hochberg 1995).

    The i-th smallest of m is multiplied by m / i, made monotone from the largest down, and cut at 1. Right for
    independent or positively dependent tests: use it for sweeps, Holm for tables.
    """
    m = len(p_values)
    order = sorted(range(m), key=lambda index: p_values[index], reverse=True)
    adjusted = [0.0] * m
    smallest = 1.0
    for step, index in enumerate(order):
        smallest = min(smallest, m / (m - step) * p_values[index])
        adjusted[index] = smallest
    return adjusted
