"""Many tests at once: p-values corrected so that the family keeps its promise."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the given order, that hold the chance of any false claim in the family (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1, made monotone, and cut at 1. Right whatever the dependence
    between the tests.
    """
    return [min(1.0, factor * p) for factor, p in zip(holm_factors(p_values), p_values, strict=True)]


def holm_factors(p_values: Sequence[float]) -> list[float]:
    """By how much Holm's correction multiplies each p-value, in the given order, before it is cut at 1; from 1 to m.

    The interval of a test at the level 1 - alpha / factor is adjusted as its p-value is: it leaves out what the test
    refuses, where both rest on the same statistic.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    factors = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        factors[index] = largest / p_values[index] if p_values[index] > 0 else float(len(p_values) - rank)
    return factors


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


def table_factors(tables: Sequence[Sequence[float]], level: float = 0.05) -> list[list[float]]:
    """By how much each p-value of each table is multiplied where tables form a sweep.

    Holm's correction within each table; across m tables those are chosen whose smallest corrected p-value passes the
    rule of Benjamini and Hochberg, and the tests of the R chosen ones are made at R / m of the level (Benjamini and
    Bogomolov 2014, Selective inference on multiple families of hypotheses). That holds the expected share of chosen
    tables with a false claim in them. Of one table it is Holm's correction alone.
    """
    factors = [holm_factors(p_values) for p_values in tables]
    filled = [(own, p_values) for own, p_values in zip(factors, tables, strict=True) if p_values]
    smallest = [min(min(1.0, f * p) for f, p in zip(own, p_values, strict=True)) for own, p_values in filled]
    chosen = sum(p <= level for p in benjamini_hochberg(smallest))
    share = len(smallest) / max(1, chosen)
    return [[share * factor for factor in own] for own in factors]
