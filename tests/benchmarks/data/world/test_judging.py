"""Judging outputs of the detox task, good and bad, against their sources."""

from __future__ import annotations

import math

import pytest

from baselines.contract import Document, UserError
from benchmarks import metrics
from benchmarks.data import world
from benchmarks.data.world import DetoxJudgement, judge
from benchmarks.data.world.detox import language
from benchmarks.data.world.judging import wording
from benchmarks.data.world.language.draws import Stream

SOURCE = "my stupid neighbour left the damn ladder in the garden again, which really sucks."
TARGET = "my neighbour left the ladder in the garden again, which is annoying."
TOLD = "that idiot anna stole my bloody wallet yesterday, what a jerk."


def test_the_facts_of_a_sentence() -> None:
    expected = {
        ("who", "neighbour"),
        ("who.owner", "my"),
        ("action", "left"),
        ("thing", "ladder"),
        ("place", "in the garden"),
        ("time", "again"),
        ("comment", "annoying"),
    }
    assert world.facts(SOURCE) == expected
    assert world.facts(TARGET) == expected
    assert world.facts("the garden left my neighbour.") is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(TARGET, DetoxJudgement((), True, 7, 0, 0), id="right"),
        pytest.param(TARGET.replace("annoying", "a pity"), DetoxJudgement((), True, 7, 0, 0), id="another wording"),
        pytest.param(f"  {TARGET.upper()} ", DetoxJudgement((), True, 7, 0, 0), id="casing"),
        pytest.param(
            "My  neighbour left the ladder in the garden again , which is annoying .",
            DetoxJudgement((), True, 7, 0, 0),
            id="spacing",
        ),
        pytest.param(SOURCE, DetoxJudgement(("stupid", "damn", "sucks"), False, 7, 0, 0), id="copy"),
        pytest.param(
            SOURCE.replace("stupid ", ""), DetoxJudgement(("damn", "sucks"), False, 7, 0, 0), id="insult left elsewhere"
        ),
        pytest.param(
            TARGET.replace("my neighbour", "my stupid neighbour"),
            DetoxJudgement(("stupid",), False, 7, 0, 0),
            id="insult left in a neutral sentence",
        ),
        pytest.param(TARGET.replace(" again", ""), DetoxJudgement((), True, 6, 1, 0), id="fact dropped"),
        pytest.param(TARGET.replace("neighbour", "cousin"), DetoxJudgement((), True, 6, 1, 1), id="person exchanged"),
        pytest.param(TARGET.replace("my", "your"), DetoxJudgement((), True, 6, 1, 1), id="owner exchanged"),
        pytest.param(
            "my neighbour left the ladder in the garden last night, which is annoying.",
            DetoxJudgement((), True, 6, 1, 1),
            id="time exchanged",
        ),
        pytest.param("", DetoxJudgement((), False, 0, 7, 0), id="empty"),
        pytest.param(". , .", DetoxJudgement((), False, 0, 7, 0), id="punctuation"),
        pytest.param("ladder the my neighbour", DetoxJudgement((), False, 3, 4, 0), id="word salad"),
        pytest.param(
            "garden ladder hammer the hammer",
            DetoxJudgement((), False, 1, 6, 2),
            id="salad with a hammer and a garden to water",
        ),
        pytest.param(TARGET[:-1], DetoxJudgement((), False, 7, 0, 0), id="no full stop"),
        pytest.param(TARGET.replace("left the", "left"), DetoxJudgement((), False, 7, 0, 0), id="a word missing"),
        pytest.param(
            "my neighbour neighbour left left the ladder", DetoxJudgement((), False, 4, 3, 0), id="stutter and cut"
        ),
        pytest.param("please fix the roof at once.", DetoxJudgement((), True, 0, 7, 3), id="another sentence"),
        pytest.param("[MASK] ✓ 5 %", DetoxJudgement((), False, 0, 7, 0), id="other signs"),
    ],
)
def test_judging(output: str, expected: DetoxJudgement) -> None:
    assert judge(output, SOURCE) == expected


def test_synonyms_state_one_fact_but_are_another_wording() -> None:
    source = "oliver hid the damn couch in the cellar yesterday."
    assert not math.isfinite(world.log_prob_source(source))
    source = "oliver left the damn couch in the cellar yesterday."
    assert judge("oliver left the sofa in the basement yesterday.", source) == DetoxJudgement((), True, 5, 0, 0)
    assert world.log_prob_target("oliver left the sofa in the basement yesterday.", source) == -math.inf
    assert math.isclose(
        world.log_prob_target("oliver left the couch in the cellar yesterday.", source), 0, abs_tol=1e-12
    )


def test_probabilities_of_hand_made_targets() -> None:
    assert math.isclose(math.exp(world.log_prob_target(TARGET, SOURCE)), 0.5, rel_tol=1e-12)
    assert math.isclose(math.exp(world.log_prob_target(TARGET.replace("annoying", "too bad"), SOURCE)), 0.3)
    assert math.isclose(math.exp(world.log_prob_target(TARGET.replace("annoying", "a pity"), SOURCE)), 0.2)
    assert math.isclose(world.target_entropy(SOURCE), -sum(p * math.log(p) for p in (0.5, 0.3, 0.2)))
    for wrong in ("", SOURCE, TARGET[:-1], TARGET.replace("neighbour", "cousin")):
        assert world.log_prob_target(wrong, SOURCE) == -math.inf
    assert world.log_prob_target(TARGET, TARGET) == -math.inf
    assert world.target_entropy("i waited an hour for the damn taxi.") == 0


def test_who_can_do_what_is_respected() -> None:
    assert world.is_neutral("anna drank my coffee and said nothing.")
    assert not world.is_member("anna drank my wallet and said nothing.")
    assert world.is_neutral("this soup tastes bad, so nobody wants it.")
    assert not world.is_member("this laptop tastes bad, so nobody wants it.")
    assert world.is_neutral("peter is not nice because he hid my shoes.")
    assert not world.is_member("peter is not nice because she hid my shoes.")
    assert not world.is_member("my anna drank my coffee and said nothing.")
    assert not world.is_member("the soup sang in the kitchen.")


def test_rudeness_finds_phrases_before_words_in_any_text() -> None:
    assert world.rudeness("Damn it all, you STUPID idiots!") == ("damn it", "stupid", "idiots")
    assert world.rudeness("shut the hell up") == ("the hell",)
    assert world.rudeness("so damn cold, like crap") == ("so damn", "like crap")
    assert world.rudeness("the classic scrap of hello") == ()
    assert world.rudeness("") == ()


def test_left_rudeness_in_told_sentences() -> None:
    assert judge("anna stole my wallet yesterday, which was not kind.", TOLD) == DetoxJudgement((), True, 6, 0, 0)
    assert judge("anna stole my wallet yesterday, what a jerk.", TOLD) == DetoxJudgement(("jerk",), False, 6, 0, 0)
    swapped = judge("my wallet stole anna yesterday", TOLD)
    assert swapped == DetoxJudgement((), False, 5, 1, 0)


def test_canonical_is_what_is_judged() -> None:
    assert world.canonical("  A  cat , I\tthink .\n") == "a cat, i think."
    assert world.is_neutral(" ANNA drank my coffee\nand said nothing .")
    assert not world.is_member("anna drank my coffee and said nothing. .")
    assert not world.is_member("anna drank my.coffee and said nothing.")


def test_every_fact_can_be_told_from_its_words() -> None:
    stream = Stream("words")
    for _ in range(500):
        frame, env = language().draw(stream)
        facts = frame.facts(env)
        for tokens in (frame.draw_source(env, stream), frame.draw_target(env, stream)):
            assert all(wording().states(tokens, fact) for fact in facts)


def test_no_judgement_without_a_source_of_the_language() -> None:
    with pytest.raises(UserError, match="no sentence of the world"):
        judge(TARGET, "the moon is made of cheese.")
    with pytest.raises(UserError, match="no rude sentence"):
        world.target_entropy(TARGET)


def test_words_never_charge_a_sentence_with_facts_that_it_does_not_state() -> None:
    stream = Stream("false alarms")
    for _ in range(1000):
        frame, env = language().draw(stream)
        facts = frame.facts(env)
        for tokens in (frame.draw_source(env, stream), frame.draw_target(env, stream)):
            assert all(found & facts for found in wording().named(tokens).values())


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        pytest.param(
            "i am not going to the parade with lucy because she is so damn shy.",
            "i am not going to the parade with lucy because she is very shy.",
            "i am going to the parade with lucy because she is very shy.",
            id="a dropped not",
        ),
        pytest.param(
            "the stupid butcher gave the twins a hat for christmas.",
            "the butcher gave the twins a hat for christmas.",
            "the twins gave the butcher a hat for christmas",
            id="swapped roles",
        ),
    ],
)
def test_what_words_cannot_see_is_said_where_the_number_stands(source: str, right: str, wrong: str) -> None:
    """Both are outside of the language, so that `exact_j` sees them; `exact_facts` does not, and says so."""
    document = Document("0", source, right, (right,))
    names = ["exact_facts", "exact_facts_kept", "exact_language", "exact_j"]
    for text, expected in ((right, (1, 1, 1, 1)), (wrong, (1, 1, 0, 0))):
        found = metrics.score(metrics.MetricInput("detox", "world", [document], [text]), names)
        assert tuple(score.value for score in found) == expected
        for score in found[:2]:
            assert "blind there to a dropped negation and to swapped roles" in score.summary
