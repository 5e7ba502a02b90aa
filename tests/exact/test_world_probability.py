"""Probabilities of the world's grammar against enumeration and against sampled frequencies."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping

import pytest

from benchmarks.data import world
from benchmarks.data.world.detox import language
from benchmarks.data.world.language.draws import Stream
from benchmarks.data.world.language.grammar import Cases, Env, Mark, Pick, Seq, Sides, Tokens, Word, maybe
from benchmarks.data.world.language.meaning import Chances, Frame, Language, dependent, even, fixed
from benchmarks.data.world.language.texts import plain
from benchmarks.data.world.measures import _pairs_of


def toy() -> Language:
    """Two kinds of clauses that share texts, so that some sources have two meanings with different targets."""

    def who(name: str) -> Word:
        return Word(name, {"tom": "tom", "ann": "ann"})

    damn = Sides(source=maybe(4, Mark("damn")), target="")
    first = Frame(
        "owns",
        3,
        (
            fixed("who", Chances({"tom": 2, "ann": 1})),
            dependent("thing", "who", {"tom": Chances({"cat": 3, "dog": 1}), "ann": even(["cat"])}),
            fixed("when", Chances({"now": 1, "": 2})),
        ),
        Seq(
            Sides(source=maybe(3, Mark("silly")), target=""),
            who("who"),
            Cases(
                "thing", {"cat": Seq("has a", damn, "cat"), "dog": Seq("has a", damn, Pick((2, "dog"), (1, "hound")))}
            ),
            Word("when", {"now": "now", "": ""}),
        ),
        ("who", "thing", "when"),
    )
    second = Frame(
        "keeps",
        2,
        (fixed("who", even(["tom", "ann"])),),
        Seq(who("who"), Sides(source=Mark("has a damn cat"), target=Pick((5, "keeps a cat"), (1, "has a cat")))),
        ("who",),
    )
    return Language((first, second))


def meanings(frame: Frame) -> list[Env]:
    """All meanings of a frame that can occur."""
    found: list[Env] = [{}]
    for variable in frame.variables:
        found = [{**env, variable.name: value} for env in found for value in variable.given(env).weights]
    return found


def joint(lang: Language) -> dict[tuple[Tokens, Tokens], float]:
    """P(source, target) by going through every derivation."""
    found: dict[tuple[Tokens, Tokens], float] = {}
    for frame in lang.frames:
        for env in meanings(frame):
            prior = frame.weight / lang.total * frame.probability(env)
            for (source, p), (target, q) in itertools.product(frame.sources(env).items(), frame.targets(env).items()):
                found[source, target] = found.get((source, target), 0.0) + prior * p * q
    return found


def chi_square(counts: Mapping[object, int], chances: Mapping[object, float]) -> float:
    """How many standard deviations Pearson's statistic lies above its mean, by Wilson and Hilferty's cube root.

    Outcomes that are expected fewer than five times are taken together.
    """
    total = sum(counts.values())
    assert counts.keys() <= chances.keys()
    rare = [key for key, p in chances.items() if p * total < 5]
    cells = [(counts.get(key, 0), p * total) for key, p in chances.items() if p * total >= 5]
    if rare:
        cells.append((sum(counts.get(key, 0) for key in rare), sum(chances[key] for key in rare) * total))
    freedom = len(cells) - 1
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in cells)
    spread = 2 / (9 * freedom)
    return ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


def draw_pair(lang: Language, stream: Stream) -> tuple[Tokens, Tokens]:
    frame, env = lang.draw(stream)
    return frame.draw_source(env, stream), frame.draw_target(env, stream)


def test_toy_probabilities_sum_to_one_and_reading_equals_enumeration() -> None:
    lang = toy()
    pairs = joint(lang)
    assert math.isclose(math.fsum(pairs.values()), 1.0, rel_tol=1e-12)
    sources: Counter[Tokens] = Counter()
    for (source, _), p in pairs.items():
        sources[source] += p
    assert len(sources) > 15
    for source, p in sources.items():
        assert math.isclose(math.fsum(q for _, _, q in lang.read_source(source)), p, rel_tol=1e-12)
        given = lang.targets(source)
        assert math.isclose(math.fsum(given.values()), 1.0, rel_tol=1e-12)
        for target, q in given.items():
            assert math.isclose(pairs[source, target], p * q, rel_tol=1e-12)
    shared = ("tom", "has", "a", "damn", "cat")
    assert len(lang.read_source(shared)) == 2
    assert set(lang.targets(shared)) == {("tom", "has", "a", "cat"), ("tom", "keeps", "a", "cat")}


def test_toy_language_ends_where_it_should() -> None:
    lang = toy()
    assert lang.read_source(("tom", "has", "a", "cat")) == []
    assert lang.read_source(("ann", "has", "a", "damn", "dog")) == []
    assert lang.read_source(("tom", "has", "a", "damn")) == []
    assert lang.read_source(("tom", "has", "a", "damn", "cat", "now", "now")) == []
    assert len(lang.read_target(("tom", "has", "a", "hound"))) == 1
    assert lang.read_target(("ann", "has", "a", "hound")) == []


def test_toy_samples_have_the_stated_probabilities() -> None:
    lang, stream = toy(), Stream("toy")
    counts = Counter(draw_pair(lang, stream) for _ in range(20_000))
    assert chi_square(counts, joint(lang)) < 3.3
    wrong = toy()
    object.__setattr__(wrong.frames[1], "weight", 3)
    object.__setattr__(wrong, "total", 6)
    assert chi_square(counts, joint(wrong)) > 10


@pytest.mark.parametrize("name", ["weather", "performance"])
def test_a_whole_clause_sums_to_its_share_and_counts_its_pairs(name: str) -> None:
    lang = language()
    (frame,) = (frame for frame in lang.frames if frame.name == name)
    one = Language((frame,))
    total, pairs, sources = [], set(), set()
    for env in meanings(frame):
        if name == "performance" and env["side"] != "our":
            continue
        targets = frame.targets(env)
        for source in frame.sources(env):
            assert source not in sources
            sources.add(source)
            total.append(math.fsum(p for _, _, p in one.read_source(source)))
            pairs.update((source, target) for target in targets)
    share = 1.0 if name == "weather" else 0.25
    assert math.isclose(math.fsum(total), share, rel_tol=1e-9)
    assert len(pairs) == _pairs_of(frame) * share


def test_targets_of_a_source_sum_to_one_and_agree_with_their_probabilities() -> None:
    stream = Stream("targets")
    for _ in range(400):
        frame, env = language().draw(stream)
        source = plain(frame.draw_source(env, stream))
        given = {plain(tokens): p for tokens, p in frame.targets(env).items()}
        found = {text: math.exp(world.log_prob_target(text, source)) for text in given}
        assert math.isclose(math.fsum(found.values()), 1.0, rel_tol=1e-12)
        assert all(math.isclose(found[text], p, rel_tol=1e-12) for text, p in given.items())
        entropy = -math.fsum(p * math.log(p) for p in given.values())
        assert math.isclose(world.target_entropy(source), entropy, rel_tol=1e-12, abs_tol=1e-15)


def test_clauses_and_targets_are_drawn_as_often_as_stated() -> None:
    lang, stream = language(), Stream("frequencies")
    counts: Counter[str] = Counter()
    surprise = entropy = square = 0.0
    draws = 6000
    for _ in range(draws):
        frame, env = lang.draw(stream)
        counts[frame.name] += 1
        targets = frame.targets(env)
        loss = -math.log(targets[frame.draw_target(env, stream)])
        mean = -math.fsum(p * math.log(p) for p in targets.values())
        surprise, entropy, square = surprise + loss, entropy + mean, square + (loss - mean) ** 2
    assert chi_square(counts, {frame.name: frame.weight / lang.total for frame in lang.frames}) < 3.3
    # The mean loss of the language on its own samples is its entropy, within four standard errors.
    assert abs(surprise - entropy) < 4 * math.sqrt(square)


def test_sources_of_one_meaning_are_drawn_as_often_as_stated() -> None:
    stream = Stream("one meaning")
    (frame,) = (frame for frame in language().frames if frame.name == "placing")
    env = frame.draw(stream)
    chances = frame.sources(env)
    assert math.isclose(math.fsum(chances.values()), 1.0, rel_tol=1e-12)
    assert chi_square(Counter(frame.draw_source(env, stream) for _ in range(8000)), chances) < 3.3


def test_draws_are_uniform_and_known() -> None:
    stream = Stream("uniform")
    assert chi_square(Counter(stream.below(37) for _ in range(37_000)), dict.fromkeys(range(37), 1 / 37)) < 3.3
    # The first outputs of SplitMix64 from state 0, as published with its reference implementation.
    zero = Stream()
    zero._state = 0
    assert [zero.below(1 << 64) for _ in range(3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
