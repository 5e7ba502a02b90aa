"""Facts by the words that state them, for texts that the grammar cannot read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.data.world.language.grammar import Cases, Node, Tokens, Value, Word
from benchmarks.data.world.language.lexicon import canonical_value
from benchmarks.data.world.language.meaning import Fact, Facts
from benchmarks.data.world.language.trees import parts, variables_of


class Wording:
    """Which pieces of text state which facts in some sentence of a language.

    Args:
        spoken: trees, each with the names of the variables that are facts. A variable that decides what else is said
            is stated by the words within that are its own.
        silent: pieces that state nothing, so that the `that` of "that idiot anna" is not taken for a fact.
    """

    def __init__(self, spoken: Iterable[tuple[Node, Iterable[str]]], silent: Iterable[Tokens] = ()) -> None:
        wordings: dict[Fact, set[Tokens]] = {}
        for tree, stated in spoken:
            names = frozenset(stated)
            for part in parts(tree):
                if isinstance(part, Cases | Word) and part.variable in names:
                    for value, piece in _pieces(part):
                        wordings.setdefault((part.variable, canonical_value(value)), set()).add(piece)
        self.forms: dict[Fact, frozenset[Tokens]] = {fact: frozenset(pieces) for fact, pieces in wordings.items()}
        self._by_first_word = _index(self.forms, silent)

    def states(self, tokens: Tokens, fact: Fact) -> bool:
        """Whether a piece that states the fact stands somewhere in the text."""
        return any(
            tokens[at : at + len(piece)] == piece
            for piece in self.forms.get(fact, ())
            for at, word in enumerate(tokens)
            if word == piece[0]
        )

    def named(self, tokens: Tokens) -> dict[Tokens, Facts]:
        """The pieces in a text that state facts, each with those it may state: from the left, at each place the
        longest."""
        named: dict[Tokens, Facts] = {}
        at = 0
        while at < len(tokens):
            for piece, facts in self._by_first_word.get(tokens[at], ()):
                if tokens[at : at + len(piece)] == piece:
                    if facts:
                        named[piece] = facts
                    at += len(piece)
                    break
            else:
                at += 1
        return named


def _pieces(part: Cases | Word) -> Iterator[tuple[Value, Tokens]]:
    if isinstance(part, Word):
        forms = list(part.forms.items())
    elif variables_of(part) == {part.variable}:
        forms = [
            (value, piece)
            for value, case in part.cases.items()
            for piece, _, _ in case.wordings({part.variable: value})
        ]
    else:
        return
    # A value of "" states nothing, and punctuation that opens a clause is no part of what states its fact.
    for value, piece in forms:
        bare = piece[1:] if piece[:1] == (",",) else piece
        if bare and value:
            yield value, bare


def _index(
    forms: dict[Fact, frozenset[Tokens]], silent: Iterable[Tokens]
) -> dict[str, tuple[tuple[Tokens, Facts], ...]]:
    """Every piece with the facts that it may state, longest first, by its first word."""
    meanings: dict[Tokens, set[Fact]] = {piece: set() for piece in silent}
    for fact, pieces in forms.items():
        for piece in pieces:
            meanings.setdefault(piece, set()).add(fact)
    result: dict[str, list[tuple[Tokens, Facts]]] = {}
    for piece, facts in sorted(meanings.items(), key=lambda item: (-len(item[0]), item[0])):
        result.setdefault(piece[0], []).append((piece, frozenset(facts)))
    return {word: tuple(entries) for word, entries in result.items()}
