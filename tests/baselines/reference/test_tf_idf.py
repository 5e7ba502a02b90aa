"""The index of the retrieval floor: the same numbers as its formula word by word, and memory that texts do not fill."""

from __future__ import annotations

import math
import random
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from baselines.reference import tf_idf
from baselines.reference.tf_idf import TfIdfIndex, sums_of, words_of


def by_hand(texts, asked):
    """The nearest text by the formula alone: bags of words, and sums in alphabetical order."""
    bags = [Counter(words_of(text)) for text in texts]
    holders = Counter(word for bag in bags for word in bag)
    idf = {word: 1 + math.log((1 + len(bags)) / (1 + held)) for word, held in holders.items()}
    scores = []
    for bag in bags:
        norm = math.sqrt(math.fsum((n * idf[word]) ** 2 for word, n in bag.items()))
        score = 0.0
        for word, n in sorted(Counter(words_of(asked)).items()):
            if word in bag:
                score += n * idf[word] * (bag[word] * idf[word] / norm)
        scores.append(score)
    return max(range(len(texts)), key=lambda index: (scores[index], -index))


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_the_nearest_is_that_of_the_formula_however_many_are_sorted_together(monkeypatch, at_once):
    monkeypatch.setattr(tf_idf, "_AT_ONCE", at_once)
    draw = random.Random(4)
    vocabulary = [f"w{i}" for i in range(30)] + list(".,!")
    texts = [" ".join(draw.choices(vocabulary, k=draw.randint(0, 12))) for _ in range(60)]
    texts[20] = texts[3]
    index = TfIdfIndex(texts)
    asked = [" ".join(draw.choices([*vocabulary, "unknown"], k=draw.randint(0, 9))) for _ in range(80)]
    assert [index.nearest(text) for text in (*asked, texts[20], "", "unknown")] == [
        by_hand(texts, text) for text in (*asked, texts[20], "", "unknown")
    ]


def test_words_are_those_of_the_whole_text():
    """Of texts that are taken apart at spaces of every kind first, the same: letters that lower to two, marks, no-break
    spaces, separators."""
    texts = ["İstanbul's  café—open\u00a0now\u2028ok?!", "a\x1cb\x1fc\u3000d.e,f", " \t", "\u200bx\u180ey"]
    index = TfIdfIndex(texts)
    assert sorted(index.idf) == sorted({word for text in texts for word in words_of(text)})
    for place, text in enumerate(texts):
        assert all(place in index.postings(word)[0] for word in words_of(text))


def test_postings_are_the_texts_with_a_word_in_order():
    index = TfIdfIndex(["b a", "c", "", "a a b"])
    places, weights = index.postings("a")
    assert places.tolist() == [0, 3] and weights.shape == (2,)
    assert index.postings("nowhere")[0].tolist() == []
    with pytest.raises(ValueError, match="empty"):
        TfIdfIndex([]).nearest("a")


def test_an_index_holds_numbers_and_no_texts(monkeypatch):
    """A posting takes 12 bytes once it is made, and while it is made not many times as much."""
    monkeypatch.setattr(tf_idf, "_AT_ONCE", 100)
    draw = random.Random(1)
    words = [f"word{i}" for i in range(500)]
    texts = [" ".join(draw.choices(words, k=100)) for _ in range(3000)]
    postings = sum(len(set(text.split())) for text in texts)
    tracemalloc.start()
    try:
        index = TfIdfIndex(texts)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert index.nearest(texts[17]) == 17
    print(f"{kept / postings:.1f} bytes kept and {most / postings:.1f} at most for a posting")
    assert kept < 14 * postings
    assert most < 32 * postings


def test_sums_are_those_of_exact_addition():
    """Of runs of every length, in which what rounding loses would show."""
    draw = np.random.default_rng(0)
    lengths = np.concatenate([[0, 1, 2], draw.integers(0, 40, 400), [0, 900]])
    values = draw.lognormal(0, 8, lengths.sum())
    ends = np.cumsum(lengths)
    exact = [math.fsum(values[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
    assert sums_of(values, lengths).tolist() == exact
    plain = [sum(values[end - length : end].tolist()) for end, length in zip(ends, lengths, strict=True)]
    assert plain != exact
    assert sums_of(np.zeros(0), np.zeros(0, dtype=np.int64)).tolist() == []
