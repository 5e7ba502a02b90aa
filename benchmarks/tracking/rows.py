"""Rows of a comparison: first with their evidence alone, then with limits and outcome, for all tests together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from benchmarks.records.schema import Direction
from benchmarks.stats import Interval, decide, table_factors
from benchmarks.stats.evidence import ChangeEvidence, TextEvidence
from benchmarks.stats.intervals import LEVEL
from benchmarks.stats.paired import FLIPS
from benchmarks.tracking.schema import ComparedQuantity, Kind

_FLIPS_PER_TEST = 100  # sign flips for each test of a sweep, or no p-value of a large one could be small enough


def row(
    quantity: str,
    kind: Kind,
    direction: Direction,
    values: tuple[float | None, float | None],
    evidence: ChangeEvidence | None,
    *,
    n: int,
    covers: str = "",
    unit: str = "",
    size: int | None = None,
    reason: str | None = None,
    notes: tuple[str, ...] = (),
) -> ComparedQuantity:
    """A row before the tests of its table are corrected; `values` are those of A and B. Without evidence there is a
    reason why."""
    assert (evidence is None) == (reason is not None), f"{quantity} has evidence or a reason why not"
    return ComparedQuantity(
        quantity=quantity,
        kind=kind,
        unit=unit,
        direction=direction,
        size=size,
        a=values[0],
        b=values[1],
        scale="ratio" if evidence is not None and evidence.null == 1 else "difference",
        change=None if evidence is None else evidence.change,
        low=None,
        high=None,
        level=None,
        p=None,
        p_raw=None if evidence is None else evidence.p,
        outcome="cannot tell",
        moved="",
        detectable=None,
        n=n,
        covers=covers,
        reason=reason,
        notes=notes,
        evidence=evidence,
    )


def corrected(tables: Sequence[Sequence[ComparedQuantity]]) -> list[list[ComparedQuantity]]:
    """The rows of tables with limits, p-values and outcomes, corrected by `families.table_factors`."""
    count = sum(one.evidence is not None for table in tables for one in table)
    tables = [[_finer(one, count) for one in table] for table in tables]
    p_values = [[one.p_raw for one in table if one.p_raw is not None] for table in tables]
    remaining = [iter(factors) for factors in table_factors(p_values)]
    return [
        [one if one.evidence is None else _at(one, one.evidence, next(factors)) for one in table]
        for table, factors in zip(tables, remaining, strict=True)
    ]


def _finer(one: ComparedQuantity, tests: int) -> ComparedQuantity:
    """The row with a p-value from more sign flips, where it is as small as the usual number allows, of many tests."""
    flips = _FLIPS_PER_TEST * tests
    if not isinstance(one.evidence, TextEvidence) or flips <= FLIPS or one.evidence.p > 20 / FLIPS:
        return one
    evidence = replace(one.evidence, flips=flips)
    return replace(one, evidence=evidence, p_raw=evidence.p)


def _at(one: ComparedQuantity, evidence: ChangeEvidence, factor: float) -> ComparedQuantity:
    """The row at its share of the level. The interval holds no change wherever the test does not refuse it."""
    p = min(1.0, factor * evidence.p)
    limits = evidence.interval(1 - (1 - LEVEL) / factor)
    detectable = evidence.detectable(factor)
    if limits is None:
        return replace(one, p=p, detectable=detectable, reason="nothing is known of how it varies")
    if p > 1 - LEVEL + 1e-12:
        limits = Interval(min(evidence.null, limits.low), max(evidence.null, limits.high), limits.level)
    shifted = Interval(limits.low - evidence.null, limits.high - evidence.null, limits.level)
    change = evidence.change - evidence.null
    found = decide(change, p, shifted, direction="lower" if one.direction == "lower" else "higher")
    told = found != "cannot tell"
    moved: Literal["up", "down", ""] = "" if not told else "up" if change > 0 else "down"
    return replace(
        one,
        low=limits.low,
        high=limits.high,
        level=limits.level,
        p=p,
        outcome="cannot tell" if one.direction == "none" else found,
        moved=moved,
        detectable=detectable,
    )
