"""What a word is to the scores that count words: one rule for all of them, of no package and no language model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from benchmarks.metrics.core.metric import MetricInput
from benchmarks.metrics.core.scripts import ANY_SCRIPT, share_unspaced, words_of_any_script

RULE = "words 1"
"""The name of the rule in signatures; changed with every change of it."""

_PIECE = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def pieces(text: str) -> list[str]:
    """Runs of letters, digits and inner apostrophes, case folded, and every other mark by itself."""
    return _PIECE.findall(text.casefold())


class Cut(NamedTuple):
    """How texts are cut into words: the rule's name in signatures, and the rule."""

    name: str
    words: Callable[[str], list[str]]


def cut_of(batch: MetricInput) -> Cut:
    """How the texts of a scoring are cut, and those learnt from: by `pieces`, but where most letters of the references
    belong to a script without spaces, in which a run of letters is a sentence, every character of such a script is a
    word."""
    memo = "share of letters in scripts without spaces"
    if memo not in batch.memo:
        batch.memo[memo] = share_unspaced(text for document in batch.documents for text in document.references)
    return Cut(ANY_SCRIPT, words_of_any_script) if batch.memo[memo] >= 0.5 else Cut(RULE, pieces)


def ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """All runs of n words, in order; none if there are fewer."""
    return zip(*(islice(words, start, None) for start in range(n)), strict=False)
