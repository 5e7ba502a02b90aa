"""Fluency against the source's: formulas by hand, and Link Grammar itself where it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.evaluators import MODELS, link_grammar, locate_model
from benchmarks.evaluators.link_parser import MOST, unused_words
from benchmarks.evaluators.locate import link_library
from benchmarks.metrics.fluency import likelihood_ratio, links


def test_a_text_links_where_it_leaves_no_more_words_than_its_source():
    unused = {(0, 0): True, (1, 0): False, (2, 3): True, (MOST + 1, MOST + 1): False, (MOST, MOST + 1): True}
    assert {pair: links(*pair, MOST) for pair in unused} == unused


def test_a_text_likelier_than_its_source_has_one_and_one_half_as_likely_a_half():
    ratio = likelihood_ratio(np.array([1.0, 3.0, 2.0 + math.log(2)]), np.array([2.0, 3.0, 2.0]))
    assert ratio.tolist() == pytest.approx([1.0, 1.0, 0.5])


def test_likelihoods_are_those_of_the_model_and_blank_texts_have_none(roles):
    """A copy is as likely as its source, and perplexity of one text says by how much another is not."""
    texts = ["the cat sat on the mat", "sat cat", " ", "the cat"]
    documents = [Document(str(i), "the cat sat on the mat", "a", ("a",)) for i in range(4)]
    batch = metrics.MetricInput("detox", "local", documents, texts)
    [found] = metrics.score(batch, ["fl_lm"], evaluators=roles)
    assert found.values[0] == 1.0 and found.values[2] == 0.0

    def perplexity(text):
        one = metrics.MetricInput("detox", "local", documents[:1], [text])
        return metrics.score(one, ["perplexity"], evaluators=roles)[0].value

    for place in (1, 3):
        expected = min(1.0, perplexity(texts[0]) / perplexity(texts[place]))
        assert found.values[place] == pytest.approx(expected, rel=1e-4)
    story = [Document("0", None, "a", ("a",))]
    [none] = metrics.score(metrics.MetricInput("story", "local", story, ["a"]), ["fl_lm"], evaluators=roles)
    assert none.reason == "not run: the task gives no source text to compare with"


def test_without_link_grammar_the_reason_says_what_adds_it(monkeypatch):
    monkeypatch.setattr("benchmarks.evaluators.locate.link_grammar", lambda: None)
    documents = [Document("0", "a", "a", ("a",))]
    [found] = metrics.score(metrics.MetricInput("detox", "local", documents, ["a"]), ["fl_links"])
    assert found.reason == (
        "missing evaluator: link-grammar is not on this machine; add it with: python -m benchmarks fetch link-grammar"
    )


def test_where_there_are_no_packages_of_debian_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(link_grammar.shutil, "which", lambda name: None)
    with pytest.raises(link_grammar.UserError, match="apt-get install liblink-grammar5 link-grammar-dictionaries-en"):
        link_grammar.bring(MODELS["link-grammar"], tmp_path / "folder", lambda text: None)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_loaded_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"Link Grammar cannot be loaded: .*liblink-grammar"):
        unused_words(tmp_path / "en", tmp_path / "liblink-grammar.so.5", ["a"])


def test_unused_words_are_counted(users_caches):
    """Whole sentences leave none, and what has no order many; a text that ends the library ends nothing else."""
    located = locate_model("link-grammar")
    if located is None:
        pytest.skip("Link Grammar is not here: python -m benchmarks fetch link-grammar")
    whole = ["The cat sat on the mat.", "My brother sold his old car yesterday."]
    broken = ["mat the on sat cat the.", "the the of of mat sat the cat of a an"]
    counts, version = unused_words(located.folder, link_library(located.folder), [*whole, "", *broken, "\x00", "日本"])
    assert version.startswith("5.") and len(counts) == 7
    assert counts[:3] == [0, 0, MOST + 1] and counts[3] > 0 and counts[4] > 1
    documents = [Document("0", "The cat sat on the old mat.", "a", ("a",))] * 3
    batch = metrics.MetricInput("detox", "local", documents, [whole[0], broken[0], ""])
    [found] = metrics.score(batch, ["fl_links"])
    assert found.values == (1.0, 0.0, 0.0) and found.signature.evaluator == "Link Grammar, link-grammar"
