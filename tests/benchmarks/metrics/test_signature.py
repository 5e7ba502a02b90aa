"""What keeps two scores from being compared is said, part by part."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.metrics.signature import difference
from benchmarks.records import Signature

ONE = Signature("bleu", "1", "sacrebleu 2.6.0", {"case": "lc", "tokens": 13}, "a" * 64)


def test_equal_signatures_differ_in_nothing():
    assert difference(ONE, replace(ONE, options=dict(ONE.options))) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": "chrf"}, "metric bleu against chrf"),
        ({"version": "2"}, "version 1 against 2"),
        ({"evaluator": "sacrebleu 2.5.0"}, "evaluator sacrebleu 2.6.0 against sacrebleu 2.5.0"),
        ({"options": {"case": "mixed", "tokens": 13}}, "option case: lc against mixed"),
        ({"options": {"case": "lc"}}, "option tokens: 13 against not set"),
        ({"options": {"case": "lc", "tokens": 13, "a": 1}}, "option a: not set against 1"),
        ({"weights": "b" * 64}, "weights aaaaaaaa against bbbbbbbb"),
        ({"weights": None}, "weights aaaaaaaa against of no model"),
        ({"weights": "a" * 63 + "b"}, f"weights {'a' * 64} against {'a' * 63}b"),
        (
            {"version": "2", "options": {"case": "mixed", "tokens": 4}},
            "version 1 against 2; option case: lc against mixed; option tokens: 13 against 4",
        ),
    ],
)
def test_what_differs_is_said(change, said):
    other = replace(ONE, **change)
    assert difference(ONE, other) == said
    assert difference(other, ONE) not in (None, said)
