"""What was copied from the texts learnt from: share of 4-grams, longest common run, whole texts, and the nearest text.

Everyday language repeats itself, so each has the value of held-out human texts, the targets of the documents, beside it
as `..._human`: only what is above that was memorised.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING

from benchmarks.metrics.core.cache import texts_hash
from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.signature import ours
from benchmarks.metrics.core.words import RULE, pieces
from benchmarks.metrics.surface import canonical

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.stats.bootstrap import Array

    Integers = NDArray[np.int64]

ORDER = 4
_BETWEEN = -1  # stands between texts: no run crosses it


def longest_runs(
    texts: Sequence[Sequence[str]], training: Sequence[Sequence[str]], order: int = ORDER
) -> tuple[Integers, Integers]:
    """For each text its longest run of words that is a run of a training text, and how many of its n-grams are one.

    Exact: runs are grown word by word, and only those places stay that the other side has too. A run has a number; a
    longer one's number stands for the pair of the shorter one's and the next word.

    Returns:
        (lengths, n-grams of `order` that occur in training), both of shape (texts,).
    """
    import numpy as np

    vocabulary: dict[str, int] = {}
    for word in chain.from_iterable(texts):
        vocabulary.setdefault(word, len(vocabulary))
    asked, owner = _numbered(texts, vocabulary)
    learnt, _ = _numbered(training, vocabulary)
    lengths, repeated = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.int64)
    ours, theirs = np.flatnonzero(asked >= 0), np.flatnonzero(learnt >= 0)  # where runs begin
    numbers, others = asked[ours], learnt[theirs]  # which run it is
    length = 1
    while True:
        common = np.isin(others, numbers)
        theirs, others = theirs[common], others[common]
        common = np.isin(numbers, others)
        ours, numbers = ours[common], numbers[common]
        if len(ours) == 0:
            return lengths, repeated
        lengths[owner[ours]] = length
        if length == order:
            repeated = np.bincount(owner[ours], minlength=len(texts))
        names = np.unique(numbers)
        ours, numbers = _grown(ours, np.searchsorted(names, numbers), asked, length, len(vocabulary))
        theirs, others = _grown(theirs, np.searchsorted(names, others), learnt, length, len(vocabulary))
        length += 1


def _numbered(texts: Sequence[Sequence[str]], vocabulary: dict[str, int]) -> tuple[Integers, Integers]:
    """All texts in one row of word numbers, -1 for other words and after each text; and whose text each place is in."""
    import numpy as np

    numbers = chain.from_iterable((*map(vocabulary.get, words, repeat(_BETWEEN)), _BETWEEN) for words in texts)
    owner = np.repeat(np.arange(len(texts)), [len(words) + 1 for words in texts])
    return np.fromiter(numbers, dtype=np.int64, count=len(owner)), owner


def _grown(
    starts: Integers, numbers: Integers, words: Integers, length: int, vocabulary: int
) -> tuple[Integers, Integers]:
    """Runs one word longer, where there is a next word."""
    following = words[starts + length]  # a run ends before its text does, so this stays within the row
    there = following >= 0
    return starts[there], numbers[there] * vocabulary + following[there]


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


@functools.lru_cache(maxsize=1)
def _learnt(key: str, training: Sequence[str]) -> tuple[list[list[str]], frozenset[str]]:
    """The words of the training texts, and those texts without case and spacing; the same for every system of a run."""
    return [pieces(text) for text in training], frozenset(canonical(text) for text in training)


def _training(batch: MetricInput) -> tuple[list[list[str]], frozenset[str]]:
    assert batch.training is not None, "an evaluator that needs training texts has them"
    texts = tuple(batch.training)
    return _learnt(texts_hash(texts), texts)


def _runs(batch: MetricInput, human: bool) -> tuple[list[list[str]], Integers, Integers]:
    memo = f"common runs, human {human}"
    if memo not in batch.memo:
        texts = [pieces(text) for text in _texts(batch, human)]
        batch.memo[memo] = (texts, *longest_runs(texts, _training(batch)[0]))
    cached: tuple[list[list[str]], Integers, Integers] = batch.memo[memo]
    return cached


def _texts(batch: MetricInput, human: bool) -> Sequence[str]:
    return [document.target for document in batch.documents] if human else batch.texts


def _options(batch: MetricInput) -> dict[str, object]:
    assert batch.training is not None, "an evaluator that needs training texts has them"
    return {"tokens": RULE, "training": len(batch.training), "training_sha256": texts_hash(batch.training)[:8]}


def _share(human: bool) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        import numpy as np

        texts, _, repeated = _runs(batch, human)
        total = np.array([max(0, len(words) - ORDER + 1) for words in texts])
        if total.sum() == 0:
            raise Absent(f"too few: no text has {ORDER} words")
        return Measured(
            total=float(repeated.sum() / total.sum()),
            n=int((total > 0).sum()),
            rows=np.stack([repeated, total], axis=1)[total > 0].astype(float),  # (n, 2)
            statistic=_ratio,
            options=_options(batch),
        )

    return measure


def _ratio(sums: Array) -> Array:
    ratio: Array = sums[:, 0] / sums[:, 1]
    return ratio


def _longest(human: bool) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        _, lengths, _ = _runs(batch, human)
        return Measured(values=tuple(float(length) for length in lengths), options=_options(batch))

    return measure


def _copied(human: bool) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        training = _training(batch)[1]
        values = tuple(float(not blank(text) and canonical(text) in training) for text in _texts(batch, human))
        return Measured(values=values, options=_options(batch))

    return measure


def _pair(name: str, summary: str, build: Callable[[bool], Callable[[MetricInput], Measured]]) -> tuple[Metric, Metric]:
    """A metric of the system's texts, and the same of held-out human ones."""

    def metric(human: bool) -> Metric:
        return Metric(
            name=f"{name}_human" if human else name,
            summary=f"{summary}{'; of the held-out targets' if human else ''}.",
            direction="none" if human else "lower",
            evaluators={ANYWHERE: Evaluator(name=ours, measure=build(human), training=True)},
            companions=() if human else (f"{name}_human",),
        )

    return metric(False), metric(True)


MEMORISATION, MEMORISATION_HUMAN = _pair(
    "memorisation",
    "Share of 4-grams that stand in a training text; 0 to 1, a text without any counts for nothing",
    _share,
)
LONGEST_RUN, LONGEST_RUN_HUMAN = _pair(
    "longest_run", "Mean number of words of the longest run shared with a training text; a blank text has 0", _longest
)
TRAINING_COPIES, TRAINING_COPIES_HUMAN = _pair(
    "training_copies",
    "Share of texts equal to a training text but for case and spacing; 0 to 1, a blank text is no copy",
    _copied,
)
