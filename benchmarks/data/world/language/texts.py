"""Between texts and tokens of the grammar: every function of the world looks at `canonical(text)` only."""

from __future__ import annotations

import re
from functools import lru_cache

from benchmarks.data.world.language.grammar import Tokens

_BEFORE_MARK = re.compile(r"\s+(?=[.,?!])")
_WORD_AND_MARKS = re.compile(r"(\S*?)([.,?!]*)(?:\s+|$)")


def canonical(text: str) -> str:
    """Lower case, single spaces, no space before punctuation."""
    return _BEFORE_MARK.sub("", " ".join(text.lower().split()))


def plain(tokens: Tokens) -> str:
    """Tokens of the grammar as text."""
    return canonical(" ".join(tokens))


@lru_cache(maxsize=1 << 13)
def tokens_of(text: str) -> Tokens:
    """Text as tokens of the grammar: words, and the punctuation marks at their ends."""
    return tuple(token for word, marks in _WORD_AND_MARKS.findall(canonical(text)) for token in (word, *marks) if token)
