"""How varied texts are, among themselves and within.

Shares of distinct n-grams fall as a sample grows and rise as texts get shorter, so they are taken at a fixed count of
texts, cut to a fixed number of words, both of which follow from the documents alone and stand in the signature.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import NormalDist

from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric, MetricInput
from benchmarks.metrics.core.signature import ours
from benchmarks.metrics.core.words import cut_of, ngrams

ORDERS = (2, 3, 4)
LEVEL = 0.95
_SHORT = 10  # of a hundred references this many may be shorter than the length that texts are cut to


def count_for(texts: int) -> int:
    """The largest of 1, 2, 5, 10, 20, 50, ... that is not above the number of texts."""
    power: int = 10 ** (len(str(texts)) - 1)
    return max(step * power for step in (1, 2, 5) if step * power <= texts)


def length_for(references: Sequence[Sequence[str]]) -> int:
    """The number of words that nine of ten references have, at least 1."""
    lengths = sorted(len(words) for words in references)
    return max(1, lengths[len(lengths) * _SHORT // 100])


def distinct_share(texts: Sequence[Sequence[str]], n: int) -> float | None:
    """Distinct n-grams over all n-grams of some texts together (Li et al. 2016, section 5); None if there is none."""
    counts = Counter(gram for words in texts for gram in ngrams(words, n))
    return len(counts) / counts.total() if counts else None


def jackknife(texts: Sequence[Sequence[str]], orders: Sequence[int]) -> tuple[float, list[float]] | None:
    """The product over orders of the share of distinct n-grams, and the same without each text; None if an order has
    none.

    A bootstrap would draw a text twice and so make every sample less varied than the one it comes from.
    """
    whole = 1.0
    left_out = [1.0] * len(texts)
    for n in orders:
        each = [Counter(ngrams(words, n)) for words in texts]
        counts: Counter[tuple[str, ...]] = Counter()
        for own in each:
            counts.update(own)
        total = counts.total()
        if total == 0:
            return None
        whole *= len(counts) / total
        for index, own in enumerate(each):
            alone = sum(counts[gram] == times for gram, times in own.items())
            rest = total - own.total()
            left_out[index] *= (len(counts) - alone) / rest if rest else 1.0
    return whole, left_out


def _fixed(batch: MetricInput) -> tuple[list[list[str]], list[int], int]:
    """The words of the texts that count, cut to the length; the places of these texts, and the length.

    Which texts count depends on the documents' ids alone, so order is nothing and systems are asked for the same ones.
    """
    if "texts at a fixed count" not in batch.memo:
        words = cut_of(batch).words
        length = length_for([words(document.target) for document in batch.documents])
        count = count_for(len(batch.texts))
        order = sorted(range(len(batch.texts)), key=lambda i: hashlib.sha256(batch.documents[i].id.encode()).digest())
        places = sorted(order[:count])
        texts = [words(batch.texts[index])[:length] for index in places]
        batch.memo["texts at a fixed count"] = (texts, places, length)
    cached: tuple[list[list[str]], list[int], int] = batch.memo["texts at a fixed count"]
    return cached


def _distinct(orders: Sequence[int]) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        import numpy as np

        from benchmarks.stats.bootstrap import Interval, jackknife_error

        texts, places, length = _fixed(batch)
        estimate = jackknife(texts, orders)
        if estimate is None:
            raise Absent(f"too few: no text has {max(orders)} words among the first {length}")
        value, without = estimate
        margin = NormalDist().inv_cdf((1 + LEVEL) / 2) * jackknife_error(np.array(without))
        limits = Interval(max(0.0, value - margin), min(1.0, value + margin), LEVEL) if len(texts) > 1 else None
        options = {"texts": len(texts), "tokens": cut_of(batch).name, "words": length}
        by_place = dict(zip(places, without, strict=True))
        left_out = tuple(by_place.get(place) for place in range(len(batch.texts)))
        return Measured(total=value, n=len(texts), interval=limits, left_out=left_out, options=options)

    return measure


def entropy(words: Sequence[str]) -> float:
    """The entropy in nats of the words within one text, 0 for none."""
    total = len(words)
    shares = [times / total for times in Counter(words).values()]
    return -math.fsum(share * math.log(share) for share in shares) + 0.0


def repetition(words: Sequence[str]) -> float:
    """1 minus the product over n = 2, 3, 4 of the share of distinct n-grams within one text; 0 for a text without any.

    The complement of what Su et al. (2022, A Contrastive Framework for Neural Text Generation, section 4.2) call
    diversity.
    """
    shares = [distinct_share([words], n) for n in ORDERS]
    return 1 - math.prod(share for share in shares if share is not None)


def _per_text(function: Callable[[Sequence[str]], float]) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        cut = cut_of(batch)
        return Measured(values=tuple(function(cut.words(text)) for text in batch.texts), options={"tokens": cut.name})

    return measure


def _distinct_metric(n: int) -> Metric:
    return Metric(
        name=f"distinct_{n}",
        summary=f"Distinct {n}-grams over all, of a fixed count of texts cut alike; 0 to 1, blanks add none.",
        direction="none",
        evaluators={ANYWHERE: Evaluator(name=ours, measure=_distinct((n,)))},
    )


DISTINCT_1, DISTINCT_2, DISTINCT_3, DISTINCT_4 = (_distinct_metric(n) for n in (1, 2, 3, 4))

DIVERSITY = Metric(
    name="diversity",
    summary="Product over n = 2, 3, 4 of distinct n-grams over all, of a fixed count of texts cut alike; 0 to 1.",
    direction="none",
    evaluators={ANYWHERE: Evaluator(name=ours, measure=_distinct(ORDERS))},
)

ENTROPY = Metric(
    name="unigram_entropy",
    summary="Mean entropy in nats of the words within a text, which grows with its length; a blank text has 0.",
    direction="none",
    evaluators={ANYWHERE: Evaluator(name=ours, measure=_per_text(entropy))},
)

REPETITION = Metric(
    name="repetition",
    summary="Mean over texts of 1 minus the product over n = 2, 3, 4 of distinct n-grams; 0 to 1, blank has 0.",
    direction="none",  # people repeat more than noise does: what is right is what the references have
    evaluators={ANYWHERE: Evaluator(name=ours, measure=_per_text(repetition))},
)
