"""What was copied from the texts learnt from: share of 4-grams, longest common run, whole texts, and the nearest text.

Everyday language repeats itself, so each has the value of held-out human texts, the targets of the documents, beside it
as `..._human`: only what is above that was memorised.
"""

from __future__ import annotations

import functools
import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING

from benchmarks.metrics.core.cache import texts_hash
from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.signature import ours
from benchmarks.metrics.core.words import cut_of
from benchmarks.metrics.surface import canonical

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.stats.bootstrap import Array

    Integers = NDArray[np.int64]

ORDER = 4
_BETWEEN = -1  # stands between texts: no run crosses it
_AT_ONCE = 1_000_000  # words of training texts that are looked through together


@dataclass(frozen=True)
class NumberedTexts:
    """Texts as the numbers of their words, four bytes a word: what texts learnt from are kept as.

    Attributes:
        words: of all texts in a row, shape (words and texts,), `_BETWEEN` after each text.
        vocabulary: word -> number.
    """

    words: NDArray[np.int32]
    vocabulary: Mapping[str, int]

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> NumberedTexts:
        import numpy as np

        vocabulary: defaultdict[str, int] = defaultdict(count().__next__)
        row = array("i")
        for words in texts:
            row.extend(map(vocabulary.__getitem__, words))
            row.append(_BETWEEN)
        return cls(np.array(row, dtype=np.int32), dict(vocabulary))

    def blocks(self, numbers: Mapping[str, int]) -> Iterator[Integers]:
        """The words under other numbers, -1 for words without one, so many whole texts at a time."""
        import numpy as np

        table = np.full(len(self.vocabulary) + 1, _BETWEEN, dtype=np.int64)  # the last is that of `_BETWEEN`
        for word, number in numbers.items():
            if word in self.vocabulary:
                table[self.vocabulary[word]] = number
        ends, start = np.flatnonzero(self.words == _BETWEEN), 0
        while start < len(self.words):
            place = int(np.searchsorted(ends, start + _AT_ONCE))
            stop = int(ends[min(place, len(ends) - 1)]) + 1
            yield table[self.words[start:stop]]
            start = stop


def longest_runs(
    texts: Sequence[Sequence[str]], training: Iterable[Sequence[str]] | NumberedTexts, order: int = ORDER
) -> tuple[Integers, Integers]:
    """For each text its longest run of words that is a run of a training text, and how many of its n-grams are one.

    Exact: runs are grown word by word, and only those places stay that the other side has too. A run has a number; a
    longer one's number stands for the pair of the shorter one's and the next word. Training texts are looked through in
    blocks, so that what is held besides their words does not grow with them.

    Returns:
        (lengths, n-grams of `order` that occur in training), both of shape (texts,).
    """
    import numpy as np

    learnt = training if isinstance(training, NumberedTexts) else NumberedTexts.of(training)
    vocabulary: dict[str, int] = {}
    for word in chain.from_iterable(texts):
        vocabulary.setdefault(word, len(vocabulary))
    asked, owner = _numbered(texts, vocabulary)
    lengths, found = np.zeros(len(asked), dtype=np.int64), np.zeros(len(asked), dtype=bool)  # of the run at each place
    for block in learnt.blocks(vocabulary):
        _look_through(block, asked, len(vocabulary), order, lengths, found)
    longest = np.zeros(len(texts), dtype=np.int64)
    np.maximum.at(longest, owner, lengths)
    return longest, np.bincount(owner[found], minlength=len(texts))


def _look_through(
    learnt: Integers, asked: Integers, vocabulary: int, order: int, lengths: Integers, found: NDArray[np.bool_]
) -> None:
    """Raise the length of the longest run that begins at each place of `asked` to that which is in `learnt`, and mark
    the places where a run of `order` words is in it."""
    import numpy as np

    ours, theirs = np.flatnonzero(asked >= 0), np.flatnonzero(learnt >= 0)  # where runs begin
    numbers, others = asked[ours], learnt[theirs]  # which run it is
    length = 1
    while True:
        common = np.isin(others, numbers)
        theirs, others = theirs[common], others[common]
        common = np.isin(numbers, others)
        ours, numbers = ours[common], numbers[common]
        if len(ours) == 0:
            return
        lengths[ours] = np.maximum(lengths[ours], length)
        if length == order:
            found[ours] = True
        names = np.unique(numbers)
        ours, numbers = _grown(ours, np.searchsorted(names, numbers), asked, length, vocabulary)
        theirs, others = _grown(theirs, np.searchsorted(names, others), learnt, length, vocabulary)
        length += 1


def _numbered(texts: Sequence[Sequence[str]], vocabulary: dict[str, int]) -> tuple[Integers, Integers]:
    """All texts in one row of word numbers, -1 after each text; and whose text each place is in."""
    import numpy as np

    numbers = chain.from_iterable((*map(vocabulary.__getitem__, words), _BETWEEN) for words in texts)
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

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self._places: dict[str, tuple[array[int], array[int]]] = {}  # word -> texts, and how often each has it
        self._lengths = array("q")
        for place, words in enumerate(texts):
            self._lengths.append(len(words))
            for word, often in Counter(words).items():
                places, counts = self._places.setdefault(word, (array("i"), array("i")))
                places.append(place)
                counts.append(often)

    def nearest_share(self, words: Sequence[str]) -> float:
        """The greatest of `shares`; 0 where there is no text."""
        return float(self.shares(words).max(initial=0.0))

    def shares(self, words: Sequence[str]) -> Array:
        """The share of words, each as often as it stands in both and in whatever order, that a text has in common with
        each of the index, of the longer of the two; 0 to 1, 0 where there is no word, shape (texts,)."""
        import numpy as np

        common: Array = np.zeros(len(self._lengths))
        for word, often in Counter(words).items():
            if word in self._places:
                places, counts = self._places[word]
                common[np.asarray(places)] += np.minimum(counts, often)
        shares: Array = common / np.maximum(np.asarray(self._lengths), max(1, len(words)))
        return shares


@functools.lru_cache(maxsize=1)
def index_of(training: tuple[str, ...], words: Callable[[str], list[str]]) -> Index:
    """The index of texts learnt from, which are the same for every system of a run."""
    return Index(map(words, training))


@dataclass(frozen=True)
class _Learnt:
    """What is kept of the texts learnt from: their words, and hashes of them without case and spacing, in order."""

    texts: NumberedTexts
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, training: Sequence[str], words: Callable[[str], list[str]]) -> _Learnt:
        import numpy as np

        return cls(NumberedTexts.of(map(words, training)), np.unique(_hashes(training)))


def _hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """64 bits of each text without case and spacing. That one of a thousand texts has those of another among a million
    has a chance of 5e-11."""
    import numpy as np

    parts = (
        hashlib.blake2b(canonical(text).encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
    )
    return np.frombuffer(b"".join(parts), dtype=np.uint64)


@functools.lru_cache(maxsize=1)
def _place_of(key: str, rule: str) -> list[_Learnt]:
    """Where what is learnt from is kept, for it is the same for every system of a run; empty at first."""
    return []


def _training(batch: MetricInput) -> _Learnt:
    assert batch.training is not None, "an evaluator that needs training texts has them"
    cut = cut_of(batch)
    place = _place_of(texts_hash(batch.training), cut.name)
    if not place:
        place.append(_Learnt.of(batch.training, cut.words))
    return place[0]


def _runs(batch: MetricInput, human: bool) -> tuple[list[list[str]], Integers, Integers]:
    memo = f"common runs, human {human}"
    if memo not in batch.memo:
        texts = [cut_of(batch).words(text) for text in _texts(batch, human)]
        batch.memo[memo] = (texts, *longest_runs(texts, _training(batch).texts))
    cached: tuple[list[list[str]], Integers, Integers] = batch.memo[memo]
    return cached


def _texts(batch: MetricInput, human: bool) -> Sequence[str]:
    return [document.target for document in batch.documents] if human else batch.texts


def _options(batch: MetricInput) -> dict[str, object]:
    assert batch.training is not None, "an evaluator that needs training texts has them"
    return {
        "tokens": cut_of(batch).name,
        "training": len(batch.training),
        "training_sha256": texts_hash(batch.training)[:8],
    }


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
            places=np.flatnonzero(total > 0).tolist(),
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
        import numpy as np

        texts = _texts(batch, human)
        known = np.isin(_hashes(texts), _training(batch).hashes)
        values = tuple(float(not blank(text) and bool(there)) for text, there in zip(texts, known, strict=True))
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
