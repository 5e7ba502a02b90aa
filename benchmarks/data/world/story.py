"""The story language: five linked sentences, as one mixture of plots, with everything about it exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

from benchmarks.data.world.language.draws import Stream
from benchmarks.data.world.language.grammar import Env, Node, Seq, Tokens
from benchmarks.data.world.language.meaning import Facts, Frame, Language
from benchmarks.data.world.language.texts import plain, tokens_of
from benchmarks.data.world.language.trees import count_targets, target_entropy
from benchmarks.data.world.plots import trials, wishes
from benchmarks.data.world.plots.plot import MOVES

_END = "."


@cache
def language() -> Language:
    """All plots; built once. Stories are its target side."""
    plots = (
        wishes.buying(),
        wishes.cooking(),
        wishes.learning(),
        wishes.travelling(),
        trials.finding(),
        trials.repairing(),
        trials.winning(),
        trials.building(),
    )
    return Language(tuple(plot.frame() for plot in plots))


@dataclass(frozen=True, slots=True)
class StoryJudgement:
    """What the grammar finds in a text.

    in_language: the text is a story. sentences: how many it has. known: how many of them are sentences of some
    plot, anywhere. ordered: there are five, and some plot has each of them at its place. linked: the greatest number of
    its sentences, each at its place in one plot, that can be of one story: they agree on names, pronouns and things,
    and one can follow from the other. A story of the language has five.
    """

    in_language: bool
    sentences: int
    known: int
    ordered: bool
    linked: int


@lru_cache(maxsize=1 << 13)
def _readings(tokens: Tokens) -> tuple[tuple[Frame, Env, float], ...]:
    return tuple(language().read_target(tokens))


def is_story(text: str) -> bool:
    """Whether the text is a story of the language."""
    return bool(_readings(tokens_of(text)))


def story_facts(text: str) -> Facts | None:
    """What a story states, (role, value); None for other texts."""
    readings = _readings(tokens_of(text))
    return readings[0][0].facts(readings[0][1]) if readings else None


def log_prob_story(text: str) -> float:
    """log P(story) in nats, over all meanings of all splits; -inf for what is no story."""
    total = math.fsum(p for _, _, p in _readings(tokens_of(text)))
    return math.log(total) if total else -math.inf


def draw_story(source: str | None, stream: Stream) -> str:
    """A story of any split; there is no source."""
    assert source is None, "stories have no source"
    frame, env = language().draw(stream)
    return plain(frame.draw_target(env, stream))


@cache
def story_entropy() -> float:
    """The exact entropy of a story in nats, the least mean loss of any model on it.

    No story has two derivations (tests/exact proves it), so a story's entropy is that of its derivation.
    """
    shares = [(frame, frame.weight / language().total) for frame in language().frames]
    return math.fsum(share * (target_entropy(frame) - math.log(share)) for frame, share in shares)


@cache
def distinct_stories() -> int:
    """The exact number of stories."""
    return sum(count_targets(frame) for frame in language().frames)


def judge_story(text: str) -> StoryJudgement:
    """Judge any text as a story, sentence by sentence."""
    tokens = tokens_of(text)
    sentences = _sentences(tokens)
    moves = [(frame, [_envs(move, sentences) for move in _moves(frame)]) for frame in language().frames]
    known = sum(any(move[at] for _, plot in moves for move in plot) for at in range(len(sentences)))
    placed = [(frame, [envs for at, move in enumerate(plot) for envs in move[at : at + 1]]) for frame, plot in moves]
    ordered = len(sentences) == len(MOVES) and any(all(plot) for _, plot in placed)
    linked = max(_linked(frame, plot) for frame, plot in placed)
    return StoryJudgement(bool(_readings(tokens)), len(sentences), known, ordered, linked)


def _sentences(tokens: Tokens) -> list[Tokens]:
    """Tokens up to and with each full stop, and what is left over."""
    sentences: list[Tokens] = []
    start = 0
    for at, token in enumerate(tokens, 1):
        if token == _END or at == len(tokens):
            sentences.append(tokens[start:at])
            start = at
    return sentences


def _moves(frame: Frame) -> tuple[Node, ...]:
    assert isinstance(frame.target, Seq) and len(frame.target.parts) == len(MOVES), frame.name
    return frame.target.parts


def _envs(move: Node, sentences: list[Tokens]) -> list[list[Env]]:
    """For each sentence, the bindings under which it is this move of a plot."""
    return [[env for end, env, _, _ in move.readings(s, 0, {}) if end == len(s)] for s in sentences]


def _linked(frame: Frame, placed: list[list[Env]]) -> int:
    """The greatest number of sentences, given by their bindings, that can be of one story."""
    together: list[tuple[int, Env]] = [(0, {})]
    for envs in placed:
        together += [
            (count + 1, {**shared, **env})
            for count, shared in together
            for env in envs
            if _agree(shared, env) and _possible(frame, {**shared, **env})
        ]
    return max(count for count, _ in together)


def _agree(one: Env, other: Env) -> bool:
    """Whether two sentences give the variables that both speak of the same values."""
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def _possible(frame: Frame, env: Env) -> bool:
    """Whether no value is ruled out by those on which it depends, as far as they are known."""
    return all(
        variable.given(env).probability(env[variable.name])
        for variable in frame.variables
        if variable.name in env and all(parent in env for parent in variable.parents)
    )
