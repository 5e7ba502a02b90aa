"""Rows of a table, corrected together: no more false claims than the level says, none against its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.stats.evidence import StudentEvidence, TextEvidence
from benchmarks.tracking.rows import corrected, row
from benchmarks.tracking.schema import ComparedQuantity

HISTORIES = 200


def table(generator: np.random.Generator, shift: float = 0.0) -> list[ComparedQuantity]:
    """Six metrics of the same texts, which move together, and two speeds; the first metric is shifted."""
    common = generator.normal(0, 0.1, 60)
    rows = []
    for number in range(6):
        apart = common + generator.normal(0, 0.1, 60) + (shift if number == 0 else 0.0)
        direction = "higher" if number < 4 else "lower"
        values = (0.5, 0.5 + float(apart.mean()))
        rows.append(
            row(f"m{number}", "quality", direction, values, TextEvidence(apart, flips=2000), n=60, covers="texts")
        )
    for number in range(2):
        logs = generator.normal(0, 0.02, 6)
        evidence = StudentEvidence(float(logs.mean()), float(np.var(logs, ddof=1)) / 6, 5, ratio=True)
        rows.append(row(f"s{number}", "speed", "lower", (1.0, evidence.change), evidence, n=6, covers="processes"))
    return rows


def claims(rows: Sequence[ComparedQuantity]) -> list[str]:
    return [one.quantity for one in rows if one.outcome != "cannot tell"]


def test_of_tables_without_a_change_one_in_twenty_claims_one() -> None:
    generator = np.random.default_rng(1)
    wrong = sum(bool(claims(corrected([table(generator)])[0])) for _ in range(HISTORIES))
    assert wrong / HISTORIES <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / HISTORIES)


def test_a_change_is_found_in_its_row_and_seldom_in_another() -> None:
    generator = np.random.default_rng(2)
    tables = [corrected([table(generator, -0.08)])[0] for _ in range(HISTORIES)]
    found = [claims(rows) for rows in tables]
    assert np.mean(["m0" in names for names in found]) > 0.8
    assert np.mean([bool(set(names) - {"m0"}) for names in found]) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / HISTORIES)
    assert {rows[0].outcome for rows in tables} <= {"worse", "cannot tell"}
    assert np.mean([rows[0].low <= -0.08 <= rows[0].high for rows in tables]) >= 0.95  # at a level above 0.95


def test_no_outcome_stands_beside_an_interval_that_says_otherwise() -> None:
    generator = np.random.default_rng(3)
    for shift in np.linspace(-0.1, 0.1, 21):
        for one in corrected([table(generator, float(shift)), table(generator)])[0]:
            null = one.evidence.null
            told = one.outcome != "cannot tell"
            assert told == (one.p <= 0.05 and not one.low <= null <= one.high)
            assert told == bool(one.moved)
            if told:
                assert (one.outcome == "better") == ((one.change > null) == (one.direction == "higher"))


def test_large_tables_flip_signs_often_enough_to_find_what_is_plain() -> None:
    """Of three hundred tests the usual ten thousand flips could not give one small enough a p-value."""
    generator = np.random.default_rng(4)
    rows = [
        row(f"m{n}", "quality", "higher", (0.0, 0.0), TextEvidence(generator.normal(0.0, 0.1, 40)), n=40)
        for n in range(299)
    ]
    plain = row("plain", "quality", "higher", (0.0, 1.0), TextEvidence(generator.normal(1.0, 0.1, 40)), n=40)
    [found] = corrected([[*rows, plain]])
    assert found[-1].outcome == "better" and found[-1].p_raw < 1 / 20_000
    assert claims(found) == ["plain"]


def test_a_row_without_evidence_stays_as_it_is() -> None:
    nothing = row("bleu", "quality", "higher", (1.0, 2.0), None, n=0, reason="no texts are there")
    sure = row("m", "quality", "higher", (0.0, 1.0), TextEvidence(np.linspace(0.9, 1.1, 30)), n=30)
    [found] = corrected([[nothing, sure]])
    assert found[0] == nothing and found[1].outcome == "better" and found[1].p == found[1].p_raw
