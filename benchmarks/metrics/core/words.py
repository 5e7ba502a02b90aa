"""What a word is to the scores that count words: one rule for all of them, of no package and no language model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

RULE = "words 1"
"""The name of the rule in signatures; changed with every change of it."""

_PIECE = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def pieces(text: str) -> list[str]:
    """Runs of letters, digits and inner apostrophes, case folded, and every other mark by itself."""
    return _PIECE.findall(text.casefold())


def ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """All runs of n words, in order; none if there are fewer."""
    return zip(*(islice(words, start, None) for start in range(n)), strict=False)
