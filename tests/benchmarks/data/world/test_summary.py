"""Judging summaries, good and bad, against reports."""

from __future__ import annotations

import math

import pytest

from baselines.contract import UserError
from benchmarks.data import world
from benchmarks.data.world import SummaryJudgement, judge_summary
from benchmarks.data.world.language.draws import Stream
from benchmarks.data.world.summary import _wording, event_facts, language

REPORT = (
    "it was a cloudy tuesday in rome. the choir sang at noon. a tiger escaped from the train. "
    "people must stay at home. the road to dallas is open again."
)
SUMMARY = "a tiger escaped from the train in rome on tuesday."
FACTS = {("event", "escaped"), ("animal", "tiger"), ("place", "train"), ("city", "rome"), ("day", "tuesday")}


def test_the_facts_of_a_report_and_of_its_summary() -> None:
    assert world.summary_facts(SUMMARY) == FACTS
    assert world.report_facts(REPORT) > FACTS
    assert ("hour", "noon") in world.report_facts(REPORT)
    assert world.summary_facts(REPORT) is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(SUMMARY, SummaryJudgement(True, True, 5, 0, 0, 0), id="right"),
        pytest.param(
            "on tuesday a tiger escaped from the train in rome.",
            SummaryJudgement(True, True, 5, 0, 0, 0),
            id="another order",
        ),
        pytest.param(f" {SUMMARY.upper()} ", SummaryJudgement(True, True, 5, 0, 0, 0), id="casing"),
        pytest.param(SUMMARY.replace("tiger", "lion"), SummaryJudgement(True, False, 4, 1, 0, 1), id="another animal"),
        pytest.param(SUMMARY.replace("rome", "dallas"), SummaryJudgement(True, False, 4, 1, 0, 1), id="another city"),
        pytest.param(
            "a fire destroyed the barn in rome on tuesday.",
            SummaryJudgement(True, False, 2, 3, 0, 2),
            id="another event",
        ),
        pytest.param(
            "a tiger escaped from the train.", SummaryJudgement(False, False, 3, 2, 0, 0), id="the event alone"
        ),
        pytest.param(
            "it was a cloudy tuesday in rome.", SummaryJudgement(False, False, 2, 3, 1, 0), id="the first sentence"
        ),
        pytest.param("the choir sang at noon.", SummaryJudgement(False, False, 0, 5, 1, 0), id="small news"),
        pytest.param("the choir sang at midnight.", SummaryJudgement(False, False, 0, 5, 0, 1), id="false small news"),
        pytest.param(REPORT, SummaryJudgement(False, False, 5, 0, 5, 0), id="copy"),
        pytest.param(SUMMARY[:-1], SummaryJudgement(False, False, 5, 0, 0, 0), id="no full stop"),
        pytest.param("", SummaryJudgement(False, False, 0, 5, 0, 0), id="empty"),
        pytest.param(". .", SummaryJudgement(False, False, 0, 5, 0, 0), id="punctuation"),
        pytest.param("tiger rome barn", SummaryJudgement(False, False, 2, 3, 0, 1), id="word salad"),
        pytest.param("[MASK] ✓ 5 %", SummaryJudgement(False, False, 0, 5, 0, 0), id="other signs"),
    ],
)
def test_judging(output: str, expected: SummaryJudgement) -> None:
    assert judge_summary(output, REPORT) == expected
    assert world.JUDGES["summary"](output, REPORT) == expected
    assert world.is_summary(output) == expected.in_language
    assert math.isfinite(world.log_prob_summary(output, REPORT)) == expected.right


def test_probabilities_of_hand_made_summaries() -> None:
    assert math.isclose(math.exp(world.log_prob_summary(SUMMARY, REPORT)), 0.6)
    assert math.isclose(world.summary_entropy(REPORT), -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)))


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(SUMMARY, id="a summary"),
        pytest.param(REPORT.replace("dallas", "rome"), id="the same city twice"),
        pytest.param(REPORT.replace("people must stay at home.", "nobody was hurt."), id="what came of another event"),
        pytest.param(REPORT[:-1], id="cut"),
    ],
)
def test_no_judgement_without_a_report_of_the_language(source: str) -> None:
    with pytest.raises(UserError, match="no report of the world"):
        judge_summary(SUMMARY, source)


def test_every_fact_can_be_told_from_its_words() -> None:
    stream = Stream("words")
    for _ in range(300):
        frame, env = language().draw(stream)
        report, text = frame.draw_source(env, stream), frame.draw_target(env, stream)
        for fact in event_facts(frame, env):
            assert _wording().states(report, fact)
            assert _wording().states(text, fact)
