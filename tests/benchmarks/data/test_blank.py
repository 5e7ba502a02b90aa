"""What shows nothing is blank, wherever it is asked: at reading, and when texts are scored."""

from __future__ import annotations

import pytest

from baselines.contract import UserError
from benchmarks import metrics
from benchmarks.data import world
from benchmarks.data.blank import blank
from benchmarks.data.rows import documents

NOTHING = (
    "",
    " \t\n",
    "\u200b",
    "\u200b \u200d\ufeff",
    "\u2060\u00ad",
    "\u3164",
    "\u2800",
    "\ufe0f",
    "\x00",
    "\u061c\u202e",
)
SOMETHING = ("a", "?", "\u200ba", "日", "।", "\u0301e", "❤\ufe0f", "\u0e33")


def test_what_shows_nothing_is_blank() -> None:
    assert [text for text in NOTHING if not blank(text)] == []
    assert [text for text in SOMETHING if blank(text)] == []


@pytest.mark.parametrize("text", NOTHING)
def test_a_target_that_shows_nothing_is_refused_like_an_empty_one(text: str) -> None:
    rows = {"id": ["a", "b"], "source": ["one", "two"], "target": ["say", text]}
    with pytest.raises(UserError, match=r"1 row of 2 has no text in column target \(rows 1, counted from 0\)"):
        documents(rows, True, "set")


def test_a_text_that_shows_nothing_scores_as_an_empty_one() -> None:
    asked = world.detox("test", 3)
    names = ["exact_j", "exact_facts", "exact_language", "bleu", "rouge_l", "length"]
    for text in ("", "\u200b\u200d"):
        found = metrics.score(metrics.MetricInput("detox", "world", asked, [text] * 3), names)
        assert {score.metric: score.value for score in found} == dict.fromkeys(names, 0.0)
