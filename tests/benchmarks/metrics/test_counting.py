"""What we count and sum ourselves, against the library's formula or against trying everything."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from benchmarks.metrics.diversity import count_for, distinct_share, jackknife, length_for
from benchmarks.metrics.memorisation import Index, longest_runs
from benchmarks.metrics.overlap import bleu_from_sums, chrf_from_sums


def test_bleu_of_sums_is_that_of_sacrebleu():
    """The vectorised formula, on counts with empty orders, no match, and texts shorter and longer than references."""
    generator = np.random.default_rng(0)
    rows = []
    for _ in range(500):
        length = int(generator.integers(0, 12))
        totals = [max(0, length - n) for n in range(4)]
        matched = [int(generator.integers(0, total + 1)) if generator.random() < 0.7 else 0 for total in totals]
        rows.append([length, int(generator.integers(1, 12)), *matched, *totals])
    ours = bleu_from_sums(np.array(rows, dtype=float))
    theirs = [BLEU.compute_bleu(row[2:6], row[6:], row[0], row[1], smooth_method="exp").score for row in rows]
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert sum(value > 0 for value in theirs) > 100


def test_chrf_of_sums_is_that_of_sacrebleu():
    generator = np.random.default_rng(0)
    rows = []
    for _ in range(300):
        sizes = [
            (max(0, int(generator.integers(0, 9)) - n), max(0, int(generator.integers(1, 9)) - n)) for n in range(6)
        ]
        rows.append([x for a, b in sizes for x in (a, b, int(generator.integers(0, min(a, b) + 1)))])
    ours = chrf_from_sums(np.array(rows, dtype=float))
    assert ours == pytest.approx([CHRF()._compute_f_score(row) for row in rows], abs=1e-9)


def test_common_runs_are_those_of_trying_them_all():
    draw = random.Random(5)
    training = [draw.choices("abcd", k=draw.randint(0, 12)) for _ in range(20)]
    texts = [draw.choices("abcde", k=draw.randint(0, 15)) for _ in range(60)]

    def within(run):
        return any(run == words[i : i + len(run)] for words in training for i in range(len(words) - len(run) + 1))

    lengths, found = longest_runs(texts, training)
    for words, length, fours in zip(texts, lengths, found, strict=True):
        runs = [words[i:j] for i in range(len(words)) for j in range(i + 1, len(words) + 1)]
        assert length == max((len(run) for run in runs if within(run)), default=0)
        assert fours == sum(within(words[i : i + 4]) for i in range(len(words) - 3))


def test_the_nearest_text_is_that_of_trying_them_all():
    draw = random.Random(9)
    training = [draw.choices("abcdefgh", k=draw.randint(0, 12)) for _ in range(40)]
    index = Index(training)
    for _ in range(60):
        words = draw.choices("abcdefghi", k=draw.randint(1, 12))
        shares = [(Counter(words) & Counter(text)).total() / max(len(words), len(text)) for text in training]
        assert index.nearest_share(words) == pytest.approx(max(shares))
    assert index.nearest_share([]) == 0.0 and Index([]).nearest_share(["a"]) == 0.0
    assert Index([["a", "b", "b", "c"]]).nearest_share(["b", "c", "c", "c"]) == 0.5  # b and c, of four words


def test_the_jackknife_is_that_of_leaving_out_one_by_one():
    draw = random.Random(3)
    words = [draw.choices("abcdefghijklmn", k=draw.randint(0, 14)) for _ in range(60)]
    value, error = jackknife(words, (1, 2))
    whole = distinct_share(words, 1) * distinct_share(words, 2)
    left = [
        distinct_share(words[:i] + words[i + 1 :], 1) * distinct_share(words[:i] + words[i + 1 :], 2) for i in range(60)
    ]
    assert value == pytest.approx(whole)
    assert error == pytest.approx(math.sqrt(59 / 60 * sum((x - sum(left) / 60) ** 2 for x in left)))


def test_counts_and_lengths_are_round_and_follow_the_documents():
    assert [count_for(n) for n in (1, 4, 5, 9, 10, 49, 200, 1001)] == [1, 2, 5, 5, 10, 20, 200, 1000]
    assert length_for([["a"] * n for n in range(1, 21)]) == 3
    assert length_for([[]]) == 1
