"""Our values and intervals against the libraries that we wrap, called in their own plain way."""

from __future__ import annotations

import random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu
from sacrebleu.metrics.bleu import BLEU

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.metrics import similarity
from benchmarks.metrics.overlap import bleu_from_sums
from benchmarks.metrics.similarity import cosines, embed

WORDS = ["the", "a", "old", "red", "car", "house", "runs", "sleeps", "quickly", "never", ".", ",", "and", "idiot"]


@pytest.fixture(scope="module")
def texts():
    draw = random.Random(3)
    return [" ".join(draw.choices(WORDS, k=draw.randint(0, 14))) for _ in range(120)]


@pytest.fixture(scope="module")
def documents(texts):
    """Two references each: a neighbour's text cut short, and the text with a word put in front."""
    out = []
    for i, text in enumerate(texts):
        references = ((texts[i - 1] + " car")[:40], f"car {text.upper()}")
        out.append(Document(str(i), references[0], references[0], references))
    return out


def test_bleu_is_that_of_sacrebleu(documents, texts):
    [found] = metrics.score("detox", "local", documents, texts, ["bleu"])
    streams = [[d.references[k] for d in documents] for k in range(2)]
    assert found.value == pytest.approx(corpus_bleu(texts, streams, lowercase=True).score, abs=1e-6)
    assert found.signature.options["sacrebleu"].startswith("nrefs:2|case:lc|eff:no|tok:13a|smooth:exp|version:")


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


def test_bleu_interval_is_that_of_recomputed_corpora(documents, texts):
    """Resampled statistics give the quantiles that scoring whole resampled corpora gives."""
    documents, texts = documents[:60], texts[:60]
    [found] = metrics.score("detox", "local", documents, texts, ["bleu"])
    draw = random.Random(0)
    values = []
    for _ in range(200):
        chosen = draw.choices(range(60), k=60)
        streams = [[documents[i].references[k] for i in chosen] for k in range(2)]
        values.append(corpus_bleu([texts[i] for i in chosen], streams, lowercase=True, force=True).score)
    low, high = np.quantile(values, [0.025, 0.975])
    width = high - low
    assert found.low == pytest.approx(low, abs=0.2 * width)
    assert found.high == pytest.approx(high, abs=0.2 * width)


def test_rouge_is_that_of_rouge_score(documents, texts):
    [found] = metrics.score("detox", "local", documents, texts, ["rouge_l"])
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    best = [
        max(scorer.score(reference, text)["rougeL"].fmeasure for reference in document.references)
        for document, text in zip(documents, texts, strict=True)
    ]
    assert found.values == pytest.approx(best, abs=1e-6)


def test_similarity_does_not_depend_on_batches(texts):
    """One by one or all at once; the parts that depend on batch mates are below the decimals kept."""
    some = [text for text in texts if text][:12]
    together = cosines(some, some[::-1])
    similarity._cache.cache_clear()
    alone = np.concatenate([cosines([a], [b]) for a, b in zip(some, some[::-1], strict=True)])
    assert together == pytest.approx(alone, abs=1e-5)
    assert np.linalg.norm(embed(some), axis=1) == pytest.approx(np.ones(12), abs=1e-6)


def test_similarity_of_texts_longer_than_the_model_reads():
    long = "the coffee is cold and " * 200
    assert cosines([long], [long + "so is the tea"]) == pytest.approx([1.0], abs=1e-5)


def test_style_is_that_of_profanity_check():
    check = pytest.importorskip("profanity_check")
    texts = ["you are a stupid idiot", "the coffee is cold", "", "damn it", "good morning"]
    documents = [Document(str(i), "s", "t", ("t",)) for i in range(5)]
    [found] = metrics.score("detox", "local", documents, texts, ["sta"])
    probabilities = check.predict_prob(texts)
    assert found.values == tuple(float(p < 0.5 and text != "") for p, text in zip(probabilities, texts, strict=True))
    assert found.values[:3] == (0.0, 1.0, 0.0)
