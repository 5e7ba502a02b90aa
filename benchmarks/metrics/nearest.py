"""How much of a text stands in the nearest of the texts learnt from: a copy with a word changed is a copy still."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.stats.bootstrap import Array

    Integers = NDArray[np.int64]


class Index:
    """Which texts have a word, and how often."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        import numpy as np

        places: dict[str, list[tuple[int, int]]] = {}
        for place, words in enumerate(texts):
            for word, count in Counter(words).items():
                places.setdefault(word, []).append((place, count))
        self._places = {word: np.array(found, dtype=np.int64) for word, found in places.items()}  # [k, 2]
        self._lengths: Integers = np.array([len(words) for words in texts], dtype=np.int64)

    def nearest_share(self, words: Sequence[str]) -> float:
        """The greatest share of words, each as often as it stands in both and in whatever order, that a text has in
        common with one of the index, of the longer of the two; 0 to 1, and 0 where there is no text or no word."""
        import numpy as np

        common: Array = np.zeros(len(self._lengths))
        for word, count in Counter(words).items():
            if word in self._places:
                found = self._places[word]
                common[found[:, 0]] += np.minimum(found[:, 1], count)
        shares = common / np.maximum(np.maximum(self._lengths, len(words)), 1)
        return float(shares.max(initial=0.0))


@functools.lru_cache(maxsize=1)
def index_of(texts: tuple[tuple[str, ...], ...]) -> Index:
    """The index of texts learnt from, which are the same for every system of a run."""
    return Index(texts)
