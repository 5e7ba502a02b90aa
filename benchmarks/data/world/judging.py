"""What a text is worth, read by the grammar: language, probability, facts and rudeness.

Every function takes any text and looks at `canonical(text)` only. A sentence of the language has exactly one
derivation (tests/exact proves it), so what it states is not a matter of choice; probabilities are sums over all
derivations all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from baselines.contract import UserError
from benchmarks.data.world.detox import language
from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.grammar import Env, Mark, Tokens
from benchmarks.data.world.language.meaning import Facts, Frame
from benchmarks.data.world.language.pairs import LanguagePairs
from benchmarks.data.world.language.texts import tokens_of
from benchmarks.data.world.language.trees import parts
from benchmarks.data.world.language.wording import Wording

_LONGEST_PHRASE = max(map(len, lex.RUDE_PHRASES))
_PAIRS = LanguagePairs(language, "rude sentence")

log_prob_source = _PAIRS.log_prob_source
log_prob_target = _PAIRS.log_prob_target
target_entropy = _PAIRS.target_entropy
draw_polite = _PAIRS.draw_target


@dataclass(frozen=True, slots=True)
class DetoxJudgement:
    """An output against its source.

    rude: rude words and phrases left. in_language: the output is a neutral sentence of the language. kept, lost: facts
    of the source that the output states, and does not. invented: facts that it states and the source does not.
    """

    rude: tuple[str, ...]
    in_language: bool
    kept: int
    lost: int
    invented: int


def _facts(readings: list[tuple[Frame, Env, float]]) -> Facts | None:
    if not readings:
        return None
    frame, env, _ = max(readings, key=lambda reading: reading[2])
    return frame.facts(env)


@lru_cache(maxsize=1 << 13)
def _neutral_facts(tokens: Tokens) -> Facts | None:
    return _facts(language().read_target(tokens))


@lru_cache(maxsize=1 << 13)
def _rude_facts(tokens: Tokens) -> Facts | None:
    return _facts(language().read_source(tokens))


@cache
def wording() -> Wording:
    """The words by which any text states facts, rude or neutral."""
    frames = language().frames
    return Wording(
        ((tree, frame.stated) for frame in frames for tree in (frame.source, frame.target)),
        (
            piece
            for frame in frames
            for part in parts(frame.source)
            if isinstance(part, Mark)
            for piece, _, _ in part.wordings({})
        ),
    )


def is_neutral(text: str) -> bool:
    """Whether the text is a neutral sentence of the language."""
    return _neutral_facts(tokens_of(text)) is not None


def is_member(text: str) -> bool:
    """Whether the text is a sentence of the language, rude or neutral."""
    return facts(text) is not None


def facts(text: str) -> Facts | None:
    """The facts that a sentence of the language states, (role, value) with synonyms as one; None for other texts."""
    tokens = tokens_of(text)
    neutral = _neutral_facts(tokens)
    return _rude_facts(tokens) if neutral is None else neutral


def rudeness(text: str) -> tuple[str, ...]:
    """The rude words and phrases in any text, in order; a phrase counts once, its words not again."""
    tokens = tokens_of(text)
    phrases: list[str] = []
    at = 0
    while at < len(tokens):
        for length in range(_LONGEST_PHRASE, 1, -1):
            if tokens[at : at + length] in lex.RUDE_PHRASES:
                break
        else:
            length = 1
        if length > 1 or tokens[at] in lex.RUDE_WORDS:
            phrases.append(" ".join(tokens[at : at + length]))
        at += length
    return tuple(phrases)


def judge(output: str, source: str) -> DetoxJudgement:
    """Judge any output against the source that it was made from.

    An output that is a sentence of the language, neutral or rude, states what the grammar reads in it. Any other
    output is judged by its words: a fact of the source is kept if a piece of text that states this fact in some
    sentence of the language stands in the output, wherever; and each different piece in it (from the left, the longest
    at each place) that can state facts, but none of the source's, counts as one invented fact. Words do not say who did
    what to whom, nor always that something was not so: there an exchange of roles and a dropped `not` go unseen.

    Raises:
        UserError: the source is no sentence of the language.
    """
    asked = facts(source)
    if asked is None:
        raise UserError(f"'{source}' is no sentence of the world, so nothing can be judged against it.")
    stated = facts(output)
    if stated is not None:
        stated_count, invented = len(asked & stated), len(stated - asked)
    else:
        tokens = tokens_of(output)
        stated_count = sum(wording().states(tokens, fact) for fact in asked)
        invented = sum(not piece_facts & asked for piece_facts in wording().named(tokens).values())
    return DetoxJudgement(rudeness(output), is_neutral(output), stated_count, len(asked) - stated_count, invented)
