"""How large the detox language is."""

from __future__ import annotations

from functools import cache

from benchmarks.data.world.detox import language
from benchmarks.data.world.grammar import Cases, Mark, Node, Pick, Say, Seq, Word


@cache
def vocabulary() -> frozenset[str]:
    """All words of the language, without punctuation."""
    found: set[str] = set()
    for frame in language().frames:
        for side in (frame.source, frame.target):
            _collect(side, found)
    return frozenset(word for word in found if word.isalpha())


def _collect(node: Node, found: set[str]) -> None:
    if isinstance(node, Say):
        found.update(node.words)
    elif isinstance(node, Word):
        found.update(word for form in node.forms.values() for word in form)
    elif isinstance(node, Seq):
        for part in node.parts:
            _collect(part, found)
    elif isinstance(node, Pick):
        for _, part in node.options:
            _collect(part, found)
    elif isinstance(node, Cases):
        for part in node.cases.values():
            _collect(part, found)
    elif isinstance(node, Mark):
        _collect(node.part, found)


def distinct_pairs() -> int:
    """A lower bound on the number of distinct (source, target) pairs."""
    return 0
