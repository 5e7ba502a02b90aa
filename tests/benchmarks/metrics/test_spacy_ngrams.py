"""Diversity and memorisation as in the paper's tables: n-grams of spaCy's tokens, counted by hand."""

from __future__ import annotations

import importlib.util

import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.metrics import legacy
from benchmarks.metrics.core import evaluate

DIVERSITY, MEMORISATION = "legacy_diversity_spacy", "legacy_memorisation_spacy"
TEXTS = [
    "I can't go.",  # I ca n't go .: 4 pairs, 3 triples, 2 fours
    "I can't go on.",  # I ca n't go on .: 5, 4, 3
    "The cat sat.",  # The cat sat .: 3, 2, 1
    "the cat sat.",  # another first word, for case counts: 3, 2, 1
    "left out",  # it fills no chunk
]


@pytest.fixture
def paper(monkeypatch):
    pytest.importorskip("spacy", reason="spacy is of the extra eval")
    monkeypatch.setattr(legacy, "CHUNK", 2)

    def score(name, texts, training=()):
        documents = [Document(str(i), None, "a b c d", ("a b c d",)) for i in range(len(texts))]
        batch = metrics.MetricInput("story", "local", documents, texts, training=list(training))
        return metrics.score(batch, [name])[0]

    return score


def test_tokens_are_those_of_spacy_alone():
    """As spaCy's documentation splits them: contractions, units and signs apart, spaces that are more than one kept."""
    spacy = pytest.importorskip("spacy", reason="spacy is of the extra eval")
    text = "Let's go to N.Y.! I can't pay  $5."
    found = legacy.spacy_tokens([text, ""])
    assert found == [
        ["Let", "'s", "go", "to", "N.Y.", "!", "I", "ca", "n't", "pay", " ", "$", "5", "."],
        [],
    ]
    assert found[0] == [str(token) for token in spacy.blank("en")(text)]


def test_diversity_of_the_paper_by_hand(paper):
    """Of the first chunk 9 pairs of which 6 are distinct, 7 triples of which 5, 5 fours of which 4; of the second 6, 4
    and 2 of which 4, 3 and 2."""
    found = paper(DIVERSITY, TEXTS)
    one, other = (6 / 9) * (5 / 7) * (4 / 5), (4 / 6) * (3 / 4) * (2 / 2)
    assert found.value == pytest.approx((one + other) / 2, abs=1e-6)
    assert (found.n, found.total, found.direction) == (4, 5, "none")
    assert found.signature.options == {"chunk": 2, "chunks": 2, "tokens": "spacy en"}
    assert found.signature.evaluator.startswith("spacy 3")
    assert paper(DIVERSITY, TEXTS[:2]).value == pytest.approx(one, abs=1e-6)


def test_memorisation_of_the_paper_by_hand(paper):
    """Of 5 fours of the first chunk "I ca n't go" is learnt twice and "ca n't go on" once; of 2 of the second one."""
    training = ["Then I can't go on", "the cat sat."]
    found = paper(MEMORISATION, TEXTS, training)
    assert found.value == pytest.approx((3 / 5 + 1 / 2) / 2, abs=1e-6)
    assert (found.n, found.total, found.direction) == (4, 5, "lower")
    assert found.signature.options["training"] == 2 and found.signature.options["tokens"] == "spacy en"
    assert paper(MEMORISATION, TEXTS, training[:1]).value == pytest.approx((3 / 5 + 0) / 2, abs=1e-6)


def test_only_the_first_training_texts_count(paper, monkeypatch):
    monkeypatch.setattr(legacy, "TRAINING_TEXTS", 1)
    assert paper(MEMORISATION, TEXTS[2:4], ["nothing of it", "the cat sat."]).value == 0.0


def test_no_run_goes_from_one_text_to_the_next(paper):
    """Not even where a line break is a token, as which training texts are held apart."""
    assert paper(MEMORISATION, ["a\nb c", "x y z u"], ["nothing a", "b c"]).value == 0.0


def test_fewer_texts_than_a_chunk_and_texts_without_tokens_have_no_score(paper):
    for name in (DIVERSITY, MEMORISATION):
        assert paper(name, TEXTS[:1], ["a"]).reason == "too few: 1 text, and a chunk has 2"
        assert paper(name, ["", "one two"], ["a"]).reason == "too few: a chunk of 2 texts has none of 4 tokens"


def test_without_spacy_the_score_is_null_with_the_command(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(evaluate.importlib.util, "find_spec", lambda name: None if name == "spacy" else real(name))
    batch = metrics.MetricInput("story", "local", [], [], training=[])
    for found in metrics.score(batch, [DIVERSITY, MEMORISATION]):
        assert found.value is None
        assert found.reason == (
            "missing evaluator: spacy is not installed; add it with: pip install -c constraints.txt -e '.[eval]'"
        )
