"""Sizes and entropies of the world's languages against enumeration and against sampled means."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from benchmarks.data import world
from benchmarks.data.world import question, story, summary
from benchmarks.data.world.language.draws import Stream
from benchmarks.data.world.language.grammar import Cases, Env, Pick, Seq, Tokens, Word
from benchmarks.data.world.language.meaning import Chances, Frame, Language, Variable, dependent, even, fixed
from benchmarks.data.world.language.templates import choices, fill
from benchmarks.data.world.language.texts import plain
from benchmarks.data.world.language.trees import count_targets, target_entropy
from benchmarks.data.world.report_events import MINOR


def toy() -> Frame:
    """A small plot: wordings, pronouns, a text that depends on another, and a choice that binds two variables."""
    parts = {
        "who": Word("who", {"ann": "ann", "eve": "eve", "tom": "tom"}),
        "he": Word("sex", {"she": "she", "he": "he"}),
        "thing": Word("thing", {"cat": "cat", "dog": "dog"}),
    }
    tries = {"{he} ran .": ("but the {thing} slept .", "so what ."), "{he} sat by the {thing} .": ("so what .",)}
    return Frame(
        "toy",
        1,
        (
            fixed("sex", Chances({"she": 3, "he": 1})),
            dependent("who", "sex", {"she": Chances({"ann": 2, "eve": 1}), "he": even(["tom"])}),
            fixed("thing", Chances({"cat": 1, "dog": 4})),
            fixed("mood", Chances({"glad": 2, "sad": 1})),
            fixed("try", even(tries)),
            dependent("then", "try", {text: even(found) for text, found in tries.items()}),
        ),
        Seq(
            Pick(
                (3, fill("{who} saw a {thing} .", parts)), (1, fill("a {thing} came to {who} . / a {thing} .", parts))
            ),
            choices("try", tries, parts),
            choices("then", ("but the {thing} slept .", "so what ."), parts),
            Cases("mood", {"glad": Pick((1, "good ."), (2, "very good .")), "sad": "bad ."}),
        ),
        (),
    )


def meanings(frame: Frame) -> list[Env]:
    found: list[Env] = [{}]
    for variable in frame.variables:
        found = [{**env, variable.name: value} for env in found for value in variable.given(env).weights]
    return found


def test_entropy_and_number_of_derivations_equal_enumeration() -> None:
    frame = toy()
    derivations = [frame.probability(env) * p for env in meanings(frame) for _, p, _ in frame.target.wordings(env)]
    assert math.isclose(math.fsum(derivations), 1.0, rel_tol=1e-12)
    assert math.isclose(target_entropy(frame), -math.fsum(p * math.log(p) for p in derivations), rel_tol=1e-12)
    plain_mood = Frame(
        "toy", 1, frame.variables, Seq(*frame.target.parts[:3], Word("mood", {"glad": "good", "sad": "bad"})), ()
    )
    wordings = [tokens for env in meanings(plain_mood) for tokens, _, _ in plain_mood.target.wordings(env)]
    assert count_targets(plain_mood) == len(wordings)


def test_a_variable_that_is_not_given_must_not_decide_the_number_of_wordings() -> None:
    with pytest.raises(AssertionError, match="number of wordings"):
        count_targets(toy())


def test_the_mean_loss_of_the_story_language_on_its_own_stories_is_its_entropy() -> None:
    stream, losses = Stream("stories"), []
    for _ in range(500):
        frame, env = story.language().draw(stream)
        losses.append(-world.log_prob_story(plain(frame.draw_target(env, stream))))
    mean = sum(losses) / len(losses)
    error = math.sqrt(sum((loss - mean) ** 2 for loss in losses)) / len(losses)
    assert abs(mean - world.story_entropy()) < 4 * error
    assert error < 0.1


def test_the_number_of_stories_is_the_sum_over_plots_of_their_choices() -> None:
    (building,) = (frame for frame in story.language().frames if frame.name == "building")
    # 28 names, 14 times, 12 looks, 12 things, 10 places, 8 stuffs, 8 shops, 14 hours, 16 familiars, 2 wordings of the
    # wish; 9 pairs of try and obstacle, each met in 2 ways (33 good ends) or given up in 2 (33 bad ends).
    choices_made = 28 * 14 * 12 * 12 * 10 * 8 * 8 * 14 * 16 * 2 * 9 * (2 * 3 * 11 + 2 * 3 * 9)
    assert count_targets(building) == choices_made


def narrow(frame: Frame, fixed_values: dict[str, str]) -> Frame:
    """A frame in which some variables have one value."""
    variables = tuple(
        fixed(v.name, even([fixed_values[v.name]])) if v.name in fixed_values else v for v in frame.variables
    )
    return Frame(frame.name, frame.weight, variables, frame.surface, frame.stated)


@pytest.mark.parametrize("name", ["escaped", "won"])
def test_a_whole_kind_of_report_sums_to_one(name: str) -> None:
    (frame,) = (frame for frame in summary.language().frames if frame.name == name)
    few = narrow(
        frame,
        {
            "weather": "cold",
            "city": "rome",
            "other": "oslo",
            "hour": "noon",
            "day": "monday",
            "first": MINOR["first"][0],
        },
    )
    one = Language((few,))
    total, sources = [], set()
    for env in meanings(few):
        for source in few.sources(env):
            assert source not in sources
            sources.add(source)
            if env["order"] == "sefab":
                total.append(math.fsum(p for _, _, p in one.read_source(source)))
                given = one.targets(source)
                assert math.isclose(math.fsum(given.values()), 1.0, rel_tol=1e-12)
    assert math.isclose(math.fsum(total), 3 / 13, rel_tol=1e-9)


def test_questions_are_drawn_as_often_as_stated() -> None:
    stream = Stream("questions")
    for _ in range(40):
        frame, env = question.language().draw(stream)
        source = frame.draw_source(env, stream)
        given = question.language().targets(source)
        assert given == pytest.approx(frame.targets(env))
        counts: Counter[Tokens] = Counter(frame.draw_target(env, stream) for _ in range(400))
        for target, p in given.items():
            assert abs(counts[target] / 400 - p) < 5 * math.sqrt(p * (1 - p) / 400) + 1e-9


def test_passages_of_one_size_sum_to_one_over_what_is_asked() -> None:
    """P(passage and answer), summed over all that may be asked of one passage, is P(passage)."""
    stream = Stream("asked")
    for _ in range(20):
        frame, env = question.language().draw(stream)
        (asked,) = (variable for variable in frame.variables if variable.name == "asked")
        assert isinstance(asked, Variable)
        slots = next(v for v in frame.variables if v.name == "slot").given(env).weights
        total = 0.0
        for slot in slots:
            for role in asked.given({**env, "slot": slot}).weights:
                tokens = frame.draw_source({**env, "slot": slot, "asked": role}, stream)
                ((found, reading, p),) = question.language().read_source(tokens)
                assert found is frame
                assert (reading["slot"], reading["asked"]) == (slot, role)
                total += p
        share = frame.weight / question.language().total
        prior = math.prod(
            v.given(env).probability(env[v.name]) for v in frame.variables if v.name not in ("slot", "asked")
        )
        assert math.isclose(total, share * prior, rel_tol=1e-9)
