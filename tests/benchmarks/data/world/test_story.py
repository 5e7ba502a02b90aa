"""Judging stories, good and bad."""

from __future__ import annotations

import math

import pytest

from benchmarks.data import world
from benchmarks.data.world import StoryJudgement, judge_story
from benchmarks.data.world.story import language

S1 = "last week anna wanted to buy a red kite for the trip."
S2 = "she went to the market on monday."
S3 = "but the kite cost too much money."
S4 = "so her sister lent her ten dollars."
S5 = "anna was happy and used the kite every day."
STORY = f"{S1} {S2} {S3} {S4} {S5}"
OTHER = (
    "in june oscar wanted to see the old castle in rome. he took the train at noon. but the train broke down. "
    "so his uncle came with a car. oscar was glad to see the old castle at last."
)


def test_a_story_by_hand_has_the_probability_of_its_choices() -> None:
    # 8 plots, sex, 14 women, 14 times, 12 looks, 28 things, 8 purposes, 8 shops, 14 hours, 2 wordings of the wish;
    # 4 tries, then 3 obstacles; 2 answers of weight 3, 2 failures of weight 1; 16 familiars; 11 feelings, 4 closings.
    options = 8 * 2 * 14 * 14 * 12 * 28 * 8 * 8 * 14 * 2 * 4 * 3 * (8 / 3) * 16 * 11 * 4
    assert math.isclose(world.log_prob_story(STORY), -math.log(options), rel_tol=1e-12)


def test_the_facts_of_a_story() -> None:
    facts = world.story_facts(STORY)
    assert facts is not None
    assert {("hero", "anna"), ("thing", "kite"), ("look", "red"), ("shop", "market"), ("kin", "sister")} <= facts
    assert world.story_facts(S1) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(STORY, StoryJudgement(True, 5, 5, True, 5), id="right"),
        pytest.param(OTHER, StoryJudgement(True, 5, 5, True, 5), id="another"),
        pytest.param(f"  {STORY.upper()}\n", StoryJudgement(True, 5, 5, True, 5), id="casing and spacing"),
        pytest.param(STORY.replace("she went", "he went"), StoryJudgement(False, 5, 5, True, 4), id="wrong pronoun"),
        pytest.param(
            STORY.replace("the kite cost", "the tent cost"), StoryJudgement(False, 5, 5, True, 4), id="another object"
        ),
        pytest.param(STORY.replace("anna was", "emma was"), StoryJudgement(False, 5, 5, True, 4), id="another hero"),
        pytest.param(f"{S1} {S2} {S3} {S5}", StoryJudgement(False, 4, 4, False, 3), id="a sentence left out"),
        pytest.param(f"{S2} {S1} {S3} {S4} {S5}", StoryJudgement(False, 5, 5, False, 3), id="sentences exchanged"),
        pytest.param(f"{STORY} {S5}", StoryJudgement(False, 6, 6, False, 5), id="a sentence too many"),
        pytest.param(" ".join([S1] * 5), StoryJudgement(False, 5, 5, False, 1), id="repetition"),
        pytest.param(STORY[:-1], StoryJudgement(False, 5, 4, False, 4), id="cut"),
        pytest.param(STORY.replace("lent", "the"), StoryJudgement(False, 5, 4, False, 4), id="one bad sentence"),
        pytest.param("", StoryJudgement(False, 0, 0, False, 0), id="empty"),
        pytest.param(". . .", StoryJudgement(False, 3, 0, False, 0), id="punctuation"),
        pytest.param("[MASK] ✓ 5 %", StoryJudgement(False, 1, 0, False, 0), id="other signs"),
    ],
)
def test_judging(text: str, expected: StoryJudgement) -> None:
    assert judge_story(text) == expected
    assert world.JUDGES["story"](text, None) == expected
    assert world.is_story(text) == expected.in_language == math.isfinite(world.log_prob_story(text))


def test_an_obstacle_follows_only_what_was_tried_and_an_end_what_came_of_it() -> None:
    assert world.is_story(STORY.replace("she went to the market", "she took all her money to the market"))
    lost = STORY.replace(S3, "but she lost all the money on the way.")
    assert not world.is_story(lost)
    found = lost.replace(S4, "luckily her sister found it in the grass.")
    assert not world.is_story(found)
    assert world.is_story(found.replace(S2, "she took all her money to the market on monday."))
    assert judge_story(lost).linked == 4
    assert not world.is_story(STORY.replace("anna was happy", "anna was sad"))


def test_every_plot_is_told_from_a_wish_to_a_feeling() -> None:
    assert len(language().frames) == 8
    for frame in language().frames:
        names = [variable.name for variable in frame.variables]
        assert {"hero", "when", "try", "obstacle", "answer", "feeling", "closing"} <= set(names)
