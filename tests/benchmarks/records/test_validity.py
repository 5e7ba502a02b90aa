"""Verdicts by quantity, in new records and in those that had one for all."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.records import seals
from benchmarks.records.schema import Header, TimingRecord, header_from_json, timing_from_json, to_json
from benchmarks.records.validity import (
    ENERGY,
    LATENCY,
    MEMORY,
    NOT_JUDGED,
    Validity,
    size_of,
    throughput,
    validity,
    without_stalled,
)
from tests.benchmarks.records.test_schema import CELL


def header(verdict: dict[str, Any]) -> Header:
    return Header(CELL, "done", verdict=verdict)


@pytest.mark.parametrize("quantity", [LATENCY, MEMORY, ENERGY, throughput(25)])
def test_the_one_verdict_of_an_old_record_holds_for_each_quantity(quantity: str) -> None:
    assert validity(header({"valid": True, "reasons": []}), quantity) == Validity(True)
    doubted = header({"valid": False, "reasons": ["unsteady: 40%", "not alone"]})
    assert validity(doubted, quantity) == Validity(False, ("unsteady: 40%", "not alone"))
    assert validity(header({}), quantity) == Validity(False, (NOT_JUDGED,))


def test_a_doubtful_latency_leaves_the_throughput_alone() -> None:
    quantities = {LATENCY: {"valid": False, "reasons": ["stalls"]}, throughput(25): {"valid": True, "reasons": []}}
    judged = header({"valid": False, "reasons": ["latency: stalls"], "quantities": quantities})
    assert validity(judged, throughput(25)).valid
    assert validity(judged, LATENCY) == Validity(False, ("stalls",))
    assert validity(judged, throughput(8)) == Validity(False, (NOT_JUDGED,))


def test_sizes_stand_in_names() -> None:
    assert (size_of(throughput(512)), size_of(LATENCY)) == (512, None)


def test_stalled_calls_do_not_count() -> None:
    rows = [TimingRecord(kind, n, ("a",), 1.0, {}) for kind in ("batch", "sweep") for n in range(2)]
    judged = header({"stalled": [{"kind": "batch", "index": 1, "reason": "20 s, of which it worked 1 s"}]})
    assert without_stalled(rows, judged) == (rows[0], *rows[2:])
    assert without_stalled(rows, header({})) == tuple(rows)


@pytest.mark.parametrize("bad", [{"quantities": []}, {"quantities": {"latency": {"valid": 1}}}, {"stalled": [{}]}])
def test_a_damaged_verdict_is_refused_in_a_sentence(bad: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="is damaged"):
        header_from_json(json.loads(json.dumps(to_json(header(bad)))), "header.json")


def test_what_a_line_says_since_schema_6_is_sealed_and_older_lines_keep_their_seals() -> None:
    plain = TimingRecord("batch", 0, ("a",), 1.0, {"x": 1})
    assert seals.timing_seal(plain, []).startswith("f81220ca")  # as schema 5 sealed it
    for name, value in (
        ("round", 1),
        ("process", 2),
        ("device_seconds", 0.5),
        ("cpu_seconds", 0.0),
        ("phases", {"network": 0.5}),
        ("kept", {"words": 7}),
        ("texts", seals.texts_sha256(["a text"])),
        ("asked_before", True),
        ("beside", {"watched": 1.5}),
        ("slowed", {"power cap": 0.5}),
    ):
        changed = dataclasses.replace(plain, **{name: value})
        assert seals.timing_seal(changed, []) != seals.timing_seal(plain, []), name
        assert timing_from_json(json.loads(json.dumps(to_json(changed)))) == changed


def test_texts_are_known_by_their_order_and_bounds() -> None:
    assert len({seals.texts_sha256(texts) for texts in (["ab", ""], ["a", "b"], ["b", "a"], ["ab"])}) == 4
