"""Facts by the words that state them, for texts that the grammar cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from benchmarks.data.world.detox import language
from benchmarks.data.world.grammar import Cases, Mark, Tokens, Value, Word
from benchmarks.data.world.lexicon import canonical_value
from benchmarks.data.world.meaning import Fact, Facts
from benchmarks.data.world.measures import parts, variables_of


@cache
def forms() -> dict[Fact, frozenset[Tokens]]:
    """All pieces of text, rude or neutral, that state a fact in some sentence of the language."""
    found: dict[Fact, set[Tokens]] = {}
    for frame in language().frames:
        for tree in (frame.source, frame.target):
            for part in parts(tree):
                if isinstance(part, Cases | Word) and part.variable in frame.stated:
                    assert variables_of(part) == {part.variable}, f"{frame.name}: {part.variable} is not stated alone"
                    for value, piece in _pieces(part):
                        found.setdefault((part.variable, canonical_value(value)), set()).add(piece)
    return {fact: frozenset(pieces) for fact, pieces in found.items()}


def _pieces(part: Cases | Word) -> Iterator[tuple[Value, Tokens]]:
    if isinstance(part, Word):
        found = list(part.forms.items())
    else:
        found = [
            (value, piece)
            for value, case in part.cases.items()
            for piece, _, _ in case.wordings({part.variable: value})
        ]
    # A value of "" states nothing, and punctuation that opens a clause is no part of what states its fact.
    for value, piece in found:
        bare = piece[1:] if piece[:1] == (",",) else piece
        if bare and value:
            yield value, bare


@cache
def _by_first_word() -> dict[str, tuple[tuple[Tokens, Facts], ...]]:
    """Every piece with the facts that it may state, longest first, by its first word.

    Expletives are pieces that state nothing, so that the `that` of "that idiot anna" is not taken for a fact.
    """
    meanings: dict[Tokens, set[Fact]] = {
        piece: set()
        for frame in language().frames
        for part in parts(frame.source)
        if isinstance(part, Mark)
        for piece, _, _ in part.wordings({})
    }
    for fact, pieces in forms().items():
        for piece in pieces:
            meanings.setdefault(piece, set()).add(fact)
    result: dict[str, list[tuple[Tokens, Facts]]] = {}
    for piece, facts in sorted(meanings.items(), key=lambda item: (-len(item[0]), item[0])):
        result.setdefault(piece[0], []).append((piece, frozenset(facts)))
    return {word: tuple(found) for word, found in result.items()}


def states(tokens: Tokens, fact: Fact) -> bool:
    """Whether a piece that states the fact stands somewhere in the text."""
    return any(
        tokens[at : at + len(piece)] == piece
        for piece in forms().get(fact, ())
        for at, word in enumerate(tokens)
        if word == piece[0]
    )


def named(tokens: Tokens) -> dict[Tokens, Facts]:
    """The pieces in a text that state facts, each with those it may state: from the left, at each place the longest."""
    found: dict[Tokens, Facts] = {}
    at = 0
    while at < len(tokens):
        for piece, facts in _by_first_word().get(tokens[at], ()):
            if tokens[at : at + len(piece)] == piece:
                if facts:
                    found[piece] = facts
                at += len(piece)
                break
        else:
            at += 1
    return found
