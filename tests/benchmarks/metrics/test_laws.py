"""Laws that every metric obeys: the reference is best, order is nothing, blanks count, products multiply."""

from __future__ import annotations

import math
import random

import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.data import world

NAMES = metrics.names()
QUALITIES = [name for name in NAMES if metrics.find(name).direction == "higher"]


@pytest.fixture(scope="module")
def documents():
    return world.detox("test", 60)


def by_name(documents, texts, names=NAMES, source="world", seed=0):
    found = metrics.score("detox", source, documents, texts, names, seed=seed)
    return {score.metric: score for score in found}


def test_world_answers_every_metric(documents):
    found = by_name(documents, [document.target for document in documents])
    assert [score.metric for score in found.values()] == NAMES
    assert {name: score.reason for name, score in found.items() if score.value is None} == {}


def test_the_reference_is_the_best(documents):
    """Exactly right where exactness is claimed, and not beaten by a copy, another's text, or a spoilt text."""
    draw = random.Random(0)
    targets = [document.target for document in documents]
    best = by_name(documents, targets)
    for name in (
        "sta",
        "fl",
        "exact_rudeness",
        "exact_facts",
        "exact_facts_kept",
        "exact_language",
        "exact_j",
        "rouge_l",
    ):
        assert best[name].value == best[name].low == best[name].high == 1.0, name
    assert best["bleu"].value == pytest.approx(100.0)
    spoilt = {
        "copied": [document.source for document in documents],
        "another's": targets[1:] + targets[:1],
        "shuffled": [" ".join(draw.sample(text.split(), len(text.split()))) for text in targets],
        "cut": [" ".join(text.split()[: len(text.split()) // 2]) for text in targets],
        "blank": [" "] * len(targets),
    }
    for kind, texts in spoilt.items():
        scores = by_name(documents, texts)
        for name in QUALITIES:
            if (kind, name) != ("copied", "sim"):  # a copy is nearest to its source
                assert scores[name].value <= best[name].value, (kind, name)
        assert scores["exact_j"].value < 0.1, kind
        assert scores["bleu"].value < 90, kind


def test_a_copy_keeps_the_meaning_and_the_rudeness(documents):
    found = by_name(documents, [document.source for document in documents])
    expected = {
        "copy_rate": 1,
        "sim": 1,
        "fl": 1,
        "exact_facts": 1,
        "exact_language": 1,
        "sta": 0,
        "j": 0,
        "exact_j": 0,
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, abs=1e-4)


def test_blank_texts_count_and_score_nothing(documents):
    found = by_name(documents, ["", "  ", "\n\t"] * 20)
    for name, score in found.items():
        assert (score.value, score.n, score.total) == (0.0, 60, 60), name


def test_one_blank_among_many_is_not_dropped(documents):
    targets = [document.target for document in documents]
    whole, holed = by_name(documents, targets), by_name(documents, ["", *targets[1:]])
    for name in ("sta", "fl", "j", "exact_j", "rouge_l", "length"):
        assert holed[name].n == 60
        assert holed[name].values[0] == 0.0
        assert holed[name].values[1:] == whole[name].values[1:]
        assert holed[name].value == pytest.approx(whole[name].value - whole[name].values[0] / 60, abs=2e-6)


def test_order_of_texts_changes_nothing(documents):
    texts = [d.source if i % 3 else d.target for i, d in enumerate(documents)]
    order = random.Random(1).sample(range(60), 60)
    one = by_name(documents, texts)
    other = by_name([documents[i] for i in order], [texts[i] for i in order])
    for name in NAMES:
        assert (other[name].value, other[name].low, other[name].high) == pytest.approx(
            (one[name].value, one[name].low, one[name].high), abs=2e-6
        ), name
        if one[name].values is not None:
            assert other[name].values == tuple(one[name].values[i] for i in order), name


def test_one_word_texts(documents):
    for word in ("yes", "idiot", "?", "日本", "\x00"):
        for name, score in by_name(documents, [word] * 60).items():
            assert score.reason is None, (word, name, score.reason)
            assert score.n == 60


@pytest.mark.parametrize(
    ("name", "parts"), [("j", ("sta", "sim", "fl")), ("exact_j", ("exact_rudeness", "exact_facts", "exact_language"))]
)
def test_products_multiply_text_by_text(documents, name, parts):
    """The mean of products, not the product of means: half the texts are polite, the other half faithful."""
    texts = [d.source if i % 2 else documents[i - 1].target for i, d in enumerate(documents)]
    found = by_name(documents, texts)
    rows = zip(*(found[part].values for part in parts), strict=True)
    assert found[name].values == pytest.approx([math.prod(row) for row in rows], abs=1e-6)
    assert found[name].value == pytest.approx(sum(found[name].values) / 60, abs=1e-6)
    assert found[name].value < math.prod(found[part].value for part in parts)
    assert metrics.find(name).parts == parts


def test_product_without_its_parts_asked_for_is_the_same(documents):
    texts = [document.target for document in documents]
    assert by_name(documents, texts, ["j"])["j"] == by_name(documents, texts)["j"]


def test_intervals_hold_the_value_and_follow_the_seed(documents):
    texts = [d.target if i % 3 else d.source for i, d in enumerate(documents)]
    one, again, other = (by_name(documents, texts, seed=seed) for seed in (0, 0, 1))
    for name, score in one.items():
        assert score.low <= score.value <= score.high, name
        assert score.level == 0.95
        assert again[name] == score
        assert other[name].value == score.value
    assert (one["bleu"].low, one["bleu"].high) != (other["bleu"].low, other["bleu"].high)


def test_best_reference_counts():
    documents = [Document("0", "s", "red car", ("red car", "blue bike with bells on it"))]
    for text in ("red car", "blue bike with bells on it"):
        [found] = metrics.score("detox", "local", documents, [text], ["rouge_l"])
        assert found.value == 1.0
