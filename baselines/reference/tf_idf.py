"""The nearest of many texts by TF-IDF, exactly, with an index that holds numbers and no text.

Axes: n texts, p postings (pairs of a text and a word in it).
"""

from __future__ import annotations

import itertools
import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]
Floats = NDArray[np.float64]
Block = tuple[Integers, Integers, Integers]
"""Texts, words and counts of postings, shape (p,) each, all of the texts in it."""

_AT_ONCE = 20_000  # texts whose words are sorted together


class TfIdfIndex:
    """Which text is nearest to another.

    Nearness is the cosine of TF-IDF vectors over lower-cased words and punctuation marks: the count of a word in the
    text times 1 + log((1 + n) / (1 + texts with the word)). Words unknown to the texts change no order. Sums run over
    words in alphabetical order, in float64: equal bags of words get equal numbers.

    Attributes:
        idf: 1 + log((1 + n) / (1 + texts with the word)), by word.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        self._count, blocks = _postings(texts, self._numbers)
        holders = np.zeros(len(self._numbers), dtype=np.int64)  # in how many texts a word is
        for _, words, _ in blocks:
            holders += np.bincount(words, minlength=len(holders))
        idf = np.array([1.0 + math.log((1 + self._count) / (1 + held)) for held in holders.tolist()])
        self.idf = dict(zip(self._numbers, idf.tolist(), strict=True))
        self._starts = np.concatenate([[0], np.cumsum(holders)])
        total = int(self._starts[-1])
        self._places, self._weights = np.empty(total, dtype=np.int32), np.empty(total)
        free = self._starts[:-1].copy()  # where the next posting of a word goes
        blocks.reverse()
        while blocks:  # each is gone once it is sorted in: no posting is held twice for long
            places, words, counts = blocks.pop()
            weights = counts * idf[words]
            _, lengths = np.unique(places, return_counts=True)
            weights /= np.repeat(np.sqrt(sums_of(np.square(weights), lengths)), lengths)
            order = np.argsort(words, kind="stable")  # by word, and within a word by text
            own = np.bincount(words, minlength=len(holders))
            at = (free - np.cumsum(own) + own)[words[order]] + np.arange(len(order))
            self._places[at], self._weights[at] = places[order], weights[order]
            free += own

    def postings(self, word: str) -> tuple[Integers, Floats]:
        """The texts with a word in ascending order, and its weight in each: the count times `idf`, over the norm."""
        number = self._numbers.get(word)
        part = slice(0, 0) if number is None else slice(self._starts[number], self._starts[number + 1])
        return self._places[part], self._weights[part]

    def nearest(self, text: str) -> int:
        """The index of the nearest text; the lowest among equals."""
        scores = np.zeros(self._count)
        for word, times in sorted(Counter(words_of(text)).items()):
            if word in self._numbers:
                places, weights = self.postings(word)
                scores[places] += times * self.idf[word] * weights  # no place twice within one word
        return int(scores.argmax())


def words_of(text: str) -> list[str]:
    """Lower-cased words and punctuation marks."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def _postings(texts: Iterable[str], numbers: dict[str, int]) -> tuple[int, list[Block]]:
    """How many texts there are, and their postings by text in blocks. New words are given numbers."""
    named: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    parts = _Parts(named)
    blocks: list[Block] = []
    left, start = iter(texts), 0
    while some := list(itertools.islice(left, _AT_ONCE)):
        row: list[int] = []
        lengths = []
        for text in some:
            before = len(row)
            row.extend(map(parts.__getitem__, text.lower().split()))
            lengths.append(len(row) - before)
        owners, words = parts.words(np.repeat(np.arange(len(some)), lengths), np.asarray(row, dtype=np.int64))
        pairs, counts = np.unique((owners << 32) + words, return_counts=True)
        places, numbered = (pairs >> 32) + start, pairs & 0xFFFFFFFF
        blocks.append((places.astype(np.int32), numbered.astype(np.int32), counts.astype(np.int32)))
        start += len(some)
    numbers.update(named)
    return start, blocks


class _Parts(dict[str, int]):
    """The numbers of what stands between two spaces, each such part taken apart once: no word has a space in it."""

    def __init__(self, named: defaultdict[str, int]) -> None:
        super().__init__()
        self._named = named
        self._words = array("q")  # of one part after another
        self._lengths = array("q")

    def __missing__(self, part: str) -> int:
        words = [self._named[word] for word in words_of(part)]
        self._words.extend(words)
        self._lengths.append(len(words))
        self[part] = number = len(self)
        return number

    def words(self, owners: NDArray[np.int64], row: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The words of a row of parts, each with the owner of its part."""
        lengths = np.array(self._lengths, dtype=np.int64)
        starts, taken = (np.cumsum(lengths) - lengths)[row], lengths[row]
        inside = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)  # which word of its part
        numbers = np.array(self._words, dtype=np.int64)[np.repeat(starts, taken) + inside]
        return np.repeat(owners, taken), numbers


def sums_of(values: Floats, lengths: NDArray[np.int64]) -> Floats:
    """Sums of values in runs of so many, shape (runs,), as exact as `math.fsum`: each carries what it lost to rounding
    (Knuth, The Art of Computer Programming, volume 2, section 4.2.2, theorem B), and so holds 106 bits."""
    order = np.argsort(-lengths, kind="stable")  # longest first, so that those with a next value stand at the beginning
    starts, there = (np.cumsum(lengths) - lengths)[order], np.sort(lengths)
    high, low = np.zeros(len(lengths)), np.zeros(len(lengths))
    for place in range(int(lengths.max(initial=0))):
        some = len(lengths) - int(np.searchsorted(there, place, side="right"))  # runs longer than this
        value, before = values[starts[:some] + place], high[:some]
        after = before + value
        added = after - before
        low[:some] += (before - (after - added)) + (value - added)
        high[:some] = after
    sums = np.empty(len(lengths))
    sums[order] = high + low
    return sums
