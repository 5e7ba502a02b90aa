"""What a text is worth, read by the grammar: language, probability, facts and rudeness.

Every function takes any text and looks at `canonical(text)`. A text is read as neutral if it can be, else as rude; where
it has several readings, the likeliest one gives the facts.

A text outside the language has no reading. Its facts are then counted word by word: a fact of the source counts as kept
if words that state it in some sentence of the language stand in the text in one piece; a fact is invented for every value
of the lexicon that the text names so and the source does not state. This credits words without regard to who did what.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.data.world import lexicon as lex
from benchmarks.data.world.detox import language
from benchmarks.data.world.grammar import Tokens
from benchmarks.data.world.meaning import Facts

_PUNCTUATION = ".,?!"


@dataclass(frozen=True, slots=True)
class Judgement:
    """An output against its source: rude words left, whether it is a neutral sentence of the language, and the number of
    facts of the source that it keeps, those that it loses, and those it states that the source does not."""

    rude: tuple[str, ...]
    in_language: bool
    kept: int
    lost: int
    invented: int


def canonical(text: str) -> str:
    """Lower case, single spaces, no space before punctuation."""
    return re.sub(r"\s+([.,?!])", r"\1", " ".join(text.lower().split()))


def plain(tokens: Tokens) -> str:
    """Tokens of the grammar as text."""
    return canonical(" ".join(tokens))


def tokens_of(text: str) -> Tokens:
    """Text as tokens of the grammar: words and punctuation marks."""
    return tuple(re.sub(r"([.,?!])", r" \1 ", text.lower()).split())


@lru_cache(maxsize=1 << 14)
def _neutral(tokens: Tokens) -> Facts | None:
    readings = language().read_target(tokens)
    if not readings:
        return None
    frame, env, _ = max(readings, key=lambda reading: reading[2])
    return frame.facts(env)


@lru_cache(maxsize=1 << 14)
def _rude(tokens: Tokens) -> Facts | None:
    readings = language().read_source(tokens)
    if not readings:
        return None
    frame, env, _ = max(readings, key=lambda reading: reading[2])
    return frame.facts(env)


def is_neutral(text: str) -> bool:
    """Whether the text is a neutral sentence of the language."""
    return _neutral(tokens_of(text)) is not None


def is_member(text: str) -> bool:
    """Whether the text is a sentence of the language, rude or neutral."""
    return facts(text) is not None


def facts(text: str) -> Facts | None:
    """The facts that a sentence of the language states, as (role, value); None for any other text."""
    tokens = tokens_of(text)
    found = _neutral(tokens)
    return _rude(tokens) if found is None else found


def rudeness(text: str) -> tuple[str, ...]:
    """The rude words and phrases in any text, in order."""
    tokens = tokens_of(text)
    found: list[str] = []
    at = 0
    while at < len(tokens):
        pair = tokens[at : at + 2]
        if pair in lex.RUDE_PHRASES:
            found.append(" ".join(pair))
            at += 2
            continue
        if tokens[at] in lex.RUDE_WORDS:
            found.append(tokens[at])
        at += 1
    return tuple(found)


def log_prob_source(text: str) -> float:
    """log P(source) in nats, over all meanings; -inf for what is no rude sentence of the language."""
    total = math.fsum(p for _, _, p in language().read_source(tokens_of(text)))
    return math.log(total) if total else -math.inf


@lru_cache(maxsize=1 << 12)
def _targets(source: Tokens) -> dict[Tokens, float]:
    return language().targets(source)


def log_prob_target(target: str, source: str) -> float:
    """log P(target | source) in nats; -inf if the target is no neutral wording of this source."""
    p = _targets(tokens_of(source)).get(tokens_of(target), 0.0)
    return math.log(p) if p else -math.inf


def target_entropy(source: str) -> float:
    """The entropy of the target given this source, in nats: what the best model's mean loss tends to."""
    return -math.fsum(p * math.log(p) for p in _targets(tokens_of(source)).values())


def judge(output: str, source: str) -> Judgement:
    """Judge an output against the source it was made from."""
    wanted = facts(source)
    assert wanted is not None, "judge needs a source of the language"
    stated = facts(output)
    if stated is None:
        stated = frozenset()
    return Judgement(
        rudeness(output), is_neutral(output), len(wanted & stated), len(wanted - stated), len(stated - wanted)
    )
