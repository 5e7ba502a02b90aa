"""Judging questions, good and bad, against passages and answers."""

from __future__ import annotations

import math

import pytest

from baselines.contract import UserError
from benchmarks.data import world
from benchmarks.data.world import QuestionJudgement, judge_question

CONTEXT = (
    "emma went to london by plane. she saw a swan near the river. martin hid the laptop near the window. "
    "george painted the table black."
)
ASKS_WAY = f"answer: by plane context: {CONTEXT}"
ASKS_SWAN = f"answer: swan context: {CONTEXT}"
ASKS_MARTIN = f"answer: martin context: {CONTEXT}"
RIGHT = QuestionJudgement(True, True, True, 4, 0, 0)


@pytest.mark.parametrize(
    ("output", "source", "expected"),
    [
        pytest.param("how did emma go to london?", ASKS_WAY, RIGHT, id="right"),
        pytest.param(" HOW did emma  go to london ?", ASKS_WAY, RIGHT, id="casing and spacing"),
        pytest.param(
            "what did emma see near the river?", ASKS_SWAN, QuestionJudgement(True, True, True, 3, 0, 0), id="pronoun"
        ),
        pytest.param(
            "what did emma see?", ASKS_SWAN, QuestionJudgement(True, True, True, 3, 0, 0), id="without detail"
        ),
        pytest.param("who hid the laptop?", ASKS_MARTIN, QuestionJudgement(True, True, True, 3, 0, 0), id="asks who"),
        pytest.param(
            "what did martin see?", ASKS_SWAN, QuestionJudgement(True, False, False, 2, 1, 1), id="another subject"
        ),
        pytest.param(
            "what did emma see near the lake?",
            ASKS_SWAN,
            QuestionJudgement(True, False, False, 3, 0, 1),
            id="false detail",
        ),
        pytest.param(
            "where did emma see a swan?", ASKS_SWAN, QuestionJudgement(True, True, False, 2, 1, 2), id="another answer"
        ),
        pytest.param(
            "what did martin hide?", ASKS_SWAN, QuestionJudgement(True, True, False, 0, 3, 3), id="another fact"
        ),
        pytest.param(
            "what did emma see", ASKS_SWAN, QuestionJudgement(False, False, False, 3, 0, 0), id="no question mark"
        ),
        pytest.param("", ASKS_SWAN, QuestionJudgement(False, False, False, 0, 3, 0), id="empty"),
        pytest.param("? ?", ASKS_SWAN, QuestionJudgement(False, False, False, 0, 3, 0), id="punctuation"),
        pytest.param(
            "emma swan tower", ASKS_SWAN, QuestionJudgement(False, False, False, 1, 2, 1), id="salad with the answer"
        ),
        pytest.param("[MASK] ✓ 5 %", ASKS_SWAN, QuestionJudgement(False, False, False, 0, 3, 0), id="other signs"),
    ],
)
def test_judging(output: str, source: str, expected: QuestionJudgement) -> None:
    assert judge_question(output, source) == expected
    assert world.JUDGES["question"](output, source) == expected
    assert world.is_question(output) == expected.in_language
    if math.isfinite(world.log_prob_question(output, source)):
        assert expected.right


def test_probabilities_of_hand_made_questions() -> None:
    def chance(question: str, source: str) -> float:
        return math.exp(world.log_prob_question(question, source))

    assert math.isclose(chance("what did emma see near the river?", ASKS_SWAN), 0.6)
    assert math.isclose(chance("what did emma see?", ASKS_SWAN), 0.4)
    assert math.isclose(chance("how did emma go to london?", ASKS_WAY), 1.0)
    assert chance("what did she see?", ASKS_SWAN) == 0
    assert math.isclose(world.question_entropy(ASKS_SWAN), -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)))
    assert world.question_entropy(ASKS_WAY) == 0


def test_the_facts_of_a_passage_name_who_pronouns_stand_for() -> None:
    assert world.passage_facts(ASKS_WAY) == (
        {("kind", "went"), ("who", "emma"), ("city", "london"), ("way", "by plane")},
        {("kind", "saw"), ("who", "emma"), ("animal", "swan"), ("nature", "near the river")},
        {("kind", "hid"), ("who", "martin"), ("thing", "laptop"), ("spot", "near the window")},
        {("kind", "painted"), ("who", "george"), ("thing", "table"), ("color", "black")},
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(CONTEXT, id="no answer"),
        pytest.param(f"answer: lake context: {CONTEXT}", id="an answer that is not in the passage"),
        pytest.param(f"answer: swan context: {CONTEXT.replace('she', 'he')}", id="a pronoun for nobody"),
        pytest.param(f"answer: swan context: {CONTEXT.replace('martin', 'emma')}", id="a name twice"),
        pytest.param(ASKS_SWAN[:-1], id="cut"),
    ],
)
def test_no_judgement_without_a_source_of_the_language(source: str) -> None:
    with pytest.raises(UserError, match="no passage with an answer of the world"):
        judge_question("what did emma see?", source)
    assert world.log_prob_passage(source) == -math.inf


def test_who_is_not_asked_where_the_passage_says_a_pronoun() -> None:
    assert math.isfinite(world.log_prob_question("who went to london?", f"answer: emma context: {CONTEXT}"))
    assert world.log_prob_question("who saw a swan?", f"answer: emma context: {CONTEXT}") == -math.inf
