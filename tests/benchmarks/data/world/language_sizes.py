"""How large a language of the built-in world is: its words, and the lengths of its texts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from benchmarks.data.world import question, story, summary
from benchmarks.data.world.detox import language as detox_language
from benchmarks.data.world.language.grammar import Node, Say, Seq, Tokens, Word
from benchmarks.data.world.language.trees import _children, parts

LANGUAGES: dict[str, Any] = {
    "detox": detox_language, "question": question.language, "story": story.language, "summary": summary.language,
}  # fmt: skip
BOTH = ("source", "target")


@cache
def vocabulary(task: str, *sides: str) -> frozenset[str]:
    """All words of some sides of a task's texts, by default of both, without punctuation."""
    trees = [frame.on(side) for frame in LANGUAGES[task]().frames for side in sides or BOTH]
    return frozenset(
        word for tree in trees for part in parts(tree) for words in _fixed(part) for word in words if word.isalpha()
    )


def _fixed(part: Node) -> Iterator[Tokens]:
    if isinstance(part, Say):
        yield part.words
    elif isinstance(part, Word):
        yield from part.forms.values()


def lengths(task: str, side: str) -> tuple[int, int]:
    """Numbers of words between which every text of a side lies; "answer:" and "context:" are none.

    The bounds hold whichever values go together, so the shortest text may be longer and the longest shorter.
    """
    spans = [_span(frame.on(side)) for frame in LANGUAGES[task]().frames]
    return min(low for low, _ in spans), max(high for _, high in spans)


def _span(tree: Node) -> tuple[int, int]:
    if isinstance(tree, Say):
        count = sum(word.isalpha() for word in tree.words)
        return count, count
    if isinstance(tree, Word):
        counts = [sum(word.isalpha() for word in form) for form in tree.forms.values()]
        return min(counts), max(counts)
    spans = [_span(part) for part in _children(tree)]
    if isinstance(tree, Seq):
        return sum(low for low, _ in spans), sum(high for _, high in spans)
    return min(low for low, _ in spans), max(high for _, high in spans)
