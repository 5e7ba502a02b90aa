"""The nearest of many texts by TF-IDF, exactly, with an index that holds numbers and no text.

Axes: n texts, p postings (pairs of a text and a word in it).
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]
Floats = NDArray[np.float64]

_AT_ONCE = 20_000  # texts whose words are sorted together


class TfIdfIndex:
    """Which text is nearest to another.

    Nearness is the cosine of TF-IDF vectors over lower-cased words and punctuation marks: the count of a word in the
    text times 1 + log((1 + n) / (1 + texts with the word)). Words unknown to the texts change no order. Sums run over
    words in alphabetical order, in float64: equal bags of words get equal numbers.

    Attributes:
        idf: 1 + log((1 + n) / (1 + texts with the word)), by word.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._count = len(texts)
        self._numbers: dict[str, int] = {}
        parts = list(_postings(texts, self._numbers))
        places, words, counts = (_joined([part[axis] for part in parts]) for axis in range(3))  # (p,) each
        holders = np.bincount(words, minlength=len(self._numbers))  # in how many texts a word is
        idf = [1.0 + math.log((1 + self._count) / (1 + int(held))) for held in holders]
        self.idf = dict(zip(self._numbers, idf, strict=True))
        weights = counts * np.asarray(idf)[words]  # (p,)
        weights /= _norms(places, weights, self._count)[places]
        order = np.argsort(words, kind="stable")  # by word, and within a word by text
        self._places, self._weights = places[order], weights[order]
        self._starts = np.concatenate([[0], np.cumsum(holders)])

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


def _postings(texts: Sequence[str], numbers: dict[str, int]) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Text, word and count of every posting by text, for some texts at a time; new words are given numbers."""
    named: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    for start in range(0, len(texts), _AT_ONCE):
        row: list[int] = []
        lengths, parts = [], _NumbersOfParts(named)
        for text in texts[start : start + _AT_ONCE]:
            before = len(row)
            row.extend(itertools.chain.from_iterable(map(parts.__getitem__, text.lower().split())))
            lengths.append(len(row) - before)
        owners = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
        pairs, counts = np.unique((owners << 32) + np.asarray(row, dtype=np.int64), return_counts=True)
        places, words = (pairs >> 32) + start, pairs & 0xFFFFFFFF
        yield places.astype(np.int32), words.astype(np.int32), counts.astype(np.int32)
    numbers.update(named)


class _NumbersOfParts(dict[str, list[int]]):
    """The numbers of the words between two spaces, each such part taken apart once: no word has a space in it."""

    def __init__(self, named: defaultdict[str, int]) -> None:
        super().__init__()
        self._named = named

    def __missing__(self, part: str) -> list[int]:
        self[part] = numbers = [self._named[word] for word in words_of(part)]
        return numbers


def _joined(parts: Sequence[Integers]) -> Integers:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)


def _norms(places: Integers, weights: Floats, count: int) -> Floats:
    """The length of each text's vector, shape (n,), summed exactly; 1 where a text has no word."""
    norms = np.ones(count)
    bounds = np.searchsorted(places, np.arange(count + 1))
    for start in range(0, count, _AT_ONCE):
        stop = min(start + _AT_ONCE, count)
        first = int(bounds[start])
        squares = np.square(weights[first : bounds[stop]]).tolist()
        for text in range(start, stop):
            if bounds[text] < bounds[text + 1]:
                norms[text] = math.sqrt(math.fsum(squares[bounds[text] - first : bounds[text + 1] - first]))
    return norms
