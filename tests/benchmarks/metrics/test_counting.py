"""What we count and sum ourselves, against the library's formula or against trying everything."""

from __future__ import annotations

import math
import random
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from baselines.contract import Document
from benchmarks.metrics import MetricInput, memorisation
from benchmarks.metrics import score as score_all
from benchmarks.metrics.diversity import count_for, distinct_share, jackknife, length_for
from benchmarks.metrics.memorisation import Index, longest_runs
from benchmarks.metrics.overlap import bleu_from_sums, chrf_from_sums
from benchmarks.stats.bootstrap import jackknife_error


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


@pytest.mark.parametrize("at_once", [1, 7, 50, 1000])
def test_what_is_memorised_is_that_of_the_exact_sets_however_many_are_looked_through_together(monkeypatch, at_once):
    """Of all runs of the training texts as words: their 4-grams, and the longest that a text has."""
    monkeypatch.setattr(memorisation, "_AT_ONCE", at_once)
    draw = random.Random(at_once)
    training = [" ".join(draw.choices("abcdefg", k=draw.randint(0, 15))) for _ in range(80)]
    texts = (
        [" ".join(draw.choices("abcdefgh", k=draw.randint(0, 12))) for _ in range(40)] + training[:5] + [" ", "A  B"]
    )
    documents = [Document(str(i), "source", text, (text,)) for i, text in enumerate(texts)]
    batch = MetricInput("detox", "local", documents, texts, training=[*training, "a b"])
    grams = {tuple(words[i : i + n]) for t in training for words in [t.split()] for n in range(1, 16)
             for i in range(len(words) - n + 1)}  # fmt: skip
    grams |= {("a",), ("b",), ("a", "b")}
    found = {score.metric: score for score in score_all(batch, ["memorisation", "longest_run", "training_copies"])}
    asked = [text.lower().split() for text in texts]
    fours = [tuple(words[i : i + 4]) for words in asked for i in range(len(words) - 3)]
    assert found["memorisation"].value == pytest.approx(sum(four in grams for four in fours) / len(fours), abs=1e-6)
    assert found["longest_run"].values == tuple(
        float(
            max((j - i for i in range(len(w)) for j in range(i + 1, len(w) + 1) if tuple(w[i:j]) in grams), default=0)
        )
        for w in asked
    )
    whole = {tuple(text.split()) for text in [*training, "a b"]}
    assert found["training_copies"].values == tuple(float(tuple(w) in whole and w != []) for w in asked)
    assert sum(found["training_copies"].values) >= 5


def test_texts_learnt_from_are_kept_in_few_bytes_a_word(monkeypatch):
    """Not as words, which take ten times as much; and what looking through them takes is that of a block."""
    monkeypatch.setattr(memorisation, "_AT_ONCE", 10_000)
    draw = random.Random(1)
    words = [f"word{number}" for number in range(500)]
    training = [" ".join(draw.choices(words, k=100)) for _ in range(3000)]
    texts = [" ".join(draw.choices(words, k=20)) for _ in range(50)] + training[:2]
    documents = [Document(str(i), "source", text, (text,)) for i, text in enumerate(texts)]
    batch = MetricInput("detox", "local", documents, texts, training=training)
    memorisation._place_of.cache_clear()
    tracemalloc.start()
    try:
        [score] = score_all(batch, ["longest_run"])
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert score.values[-2:] == (100.0, 100.0)
    count = 100 * len(training)
    print(f"{kept / count:.1f} bytes kept and {most / count:.1f} at most for a word")
    assert kept < 8 * count
    assert most < 16 * count


def test_the_jackknife_is_that_of_leaving_out_one_by_one():
    draw = random.Random(3)
    words = [draw.choices("abcdefghijklmn", k=draw.randint(0, 14)) for _ in range(60)]
    value, without = jackknife(words, (1, 2))
    whole = distinct_share(words, 1) * distinct_share(words, 2)
    left = [
        distinct_share(words[:i] + words[i + 1 :], 1) * distinct_share(words[:i] + words[i + 1 :], 2) for i in range(60)
    ]
    assert value == pytest.approx(whole)
    assert without == pytest.approx(left)
    error = math.sqrt(59 / 60 * sum((x - sum(left) / 60) ** 2 for x in left))
    assert jackknife_error(np.array(without)) == pytest.approx(error)


def test_counts_and_lengths_are_round_and_follow_the_documents():
    assert [count_for(n) for n in (1, 4, 5, 9, 10, 49, 200, 1001)] == [1, 2, 5, 5, 10, 20, 200, 1000]
    assert length_for([["a"] * n for n in range(1, 21)]) == 3
    assert length_for([[]]) == 1
