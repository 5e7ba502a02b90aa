"""Scores of rivals' scripts, worked out by hand with a language model of known probabilities."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.metrics import legacy
from benchmarks.metrics.core.metric import Absent
from benchmarks.metrics.legacy_rivals import cut_mean
from benchmarks.records.schema import SampleRecord


def score(name, texts, roles, *, finished=None, entropies=None, references=None):
    references = references or texts
    documents = [Document(str(n), "a source", text, (text,)) for n, text in enumerate(references)]
    finished, entropies = finished or [True] * len(texts), entropies or [None] * len(texts)
    samples = [
        SampleRecord(str(n), text, len(text), ends, 0, {}, entropy)
        for n, (text, ends, entropy) in enumerate(zip(texts, finished, entropies, strict=True))
    ]
    batch = metrics.MetricInput("detox", "local", documents, texts, samples=samples)
    return metrics.score(batch, [name], evaluators=roles)[0]


def test_generative_perplexity_by_hand(unigram_lm):
    """Of "ab", which ends, b and the end count, ln 4 + ln 8; of "baa", which is cut, a and a, 2 ln 2. The first token
    is given, and of what is one token, or an end alone, nothing is left."""
    roles = {"paper_lm": unigram_lm}
    found = score("legacy_gen_ppl", ["ab", "baa", "b", ""], roles, finished=[True, False, False, True])
    assert found.value == pytest.approx(math.exp((5 + 2) * math.log(2) / 4), rel=1e-5)
    assert (found.n, found.total, found.low) == (2, 4, None)
    assert found.signature.options["start"] is False and found.signature.options["end"] is True
    assert found.signature.evaluator.startswith("unigram, transformers ") and found.signature.weights
    assert found.companions == ("legacy_sample_entropy", "length")
    # Ours is asked for the first token too, and for no end: ln 2 + ln 4 and ln 4 + 2 ln 2 of five tokens.
    ours = score("perplexity", ["ab", "baa"], {"lm": unigram_lm})
    assert ours.value == pytest.approx(math.exp((1 + 2 + 2 + 2) * math.log(2) / 5), rel=1e-5)
    none = score("legacy_gen_ppl", ["a", ""], roles, finished=[False, True])
    assert none.reason == "too few: none of 2 texts holds two tokens"


def test_entropy_is_that_of_the_records():
    texts = ["a b a b", "a", "a b"]
    found = score("legacy_sample_entropy", texts, {}, entropies=[math.log(2), 0.0, None])
    assert found.values == pytest.approx((math.log(2), 0.0, None), abs=1e-6)
    assert found.value == pytest.approx(math.log(2) / 2, abs=1e-6) and (found.n, found.total) == (2, 3)
    none = score("legacy_sample_entropy", texts, {})
    assert none.reason.startswith("not run: the record has no entropy of own tokens: ")


@pytest.mark.parametrize("name", ["legacy_gen_ppl", "legacy_sample_entropy"])
def test_without_records_there_is_no_score(name, unigram_lm):
    documents = [Document("0", "a source", "ab", ("ab",))]
    batch = metrics.MetricInput("detox", "local", documents, ["ab"])
    [none] = metrics.score(batch, [name], evaluators={"paper_lm": unigram_lm})
    assert none.reason == "not run: what the record says of each text was not given"


def test_what_records_say_counts_in_what_is_kept(tmp_path, unigram_lm):
    """The same text, finished or cut, has two scores, also where one was kept."""
    documents = [Document("0", "a source", "ab", ("ab",))]
    for ends, expected in ((True, math.sqrt(32)), (False, 4.0), (True, math.sqrt(32))):
        samples = [SampleRecord("0", "ab", 2, ends, 0, {})]
        batch = metrics.MetricInput("detox", "local", documents, ["ab"], samples=samples)
        [found] = metrics.score(batch, ["legacy_gen_ppl"], cache=tmp_path, evaluators={"paper_lm": unigram_lm})
        assert found.value == pytest.approx(expected, rel=1e-5)


def test_perplexity_of_tencdm_by_hand(unigram_lm):
    """A text of a has perplexity 2, one of b 4. Of twenty, one is left out at each end; of 21, two at the top."""
    roles = {"paper_neo": unigram_lm, "paper_lm": unigram_lm}
    for length in (1, 3):
        twenty = ["a" * length] * 10 + ["b" * length] * 10
        assert score("legacy_ppl_neo", twenty, roles).value == pytest.approx((9 * 2 + 9 * 4) / 18, rel=1e-5)
        one_more = score("legacy_ppl_neo", ["", "a" * length, *twenty], roles)
        assert one_more.value == pytest.approx((10 * 2 + 8 * 4) / 18, rel=1e-5) and one_more.n == 21
        ours = score("legacy_ppl_trimmed", ["a" * length, *twenty], roles)
        assert ours.value == pytest.approx((10 * 2 + 9 * 4) / 19, rel=1e-5)
    assert score("legacy_ppl_neo", ["a"], roles).reason == "too few: of one text the script leaves none"
    assert cut_mean([3.0, 1.0], 0.05) == 1.0
    with pytest.raises(Absent):
        cut_mean([1.0], 0.05)


def test_without_the_models_of_the_authors_the_reason_names_them():
    found = {name: score(name, ["ab"], {}) for name in ("legacy_ppl_neo", "legacy_gen_ppl", "legacy_mauve_256")}
    commands = {"legacy_ppl_neo": "gpt-neo-1.3b", "legacy_gen_ppl": "gpt2-large", "legacy_mauve_256": "gpt2-large"}
    for name, model in commands.items():
        reason = f"missing evaluator: {model} is not on this machine; add it with: python -m benchmarks fetch {model}"
        if name == "legacy_mauve_256" and importlib.util.find_spec("mauve") is None:
            reason = (
                "missing evaluator: mauve is not installed; add it with: pip install -c constraints.txt -e '.[eval]'"
            )
        assert found[name].reason == reason


def test_what_follows_256_tokens_is_not_read(roles, monkeypatch):
    """Every byte is a token: features are those of the first 256, so texts that differ later are equal."""
    pytest.importorskip("mauve", reason="mauve-text is of the extra eval")
    seen = []
    monkeypatch.setattr(legacy, "clustered", lambda p, q, seed: seen.append((p, q)) or Clustering)
    first = [chr(97 + n) * 256 for n in range(24)]
    texts, references = [text + " one end" for text in first], [text + "another" for text in first]
    found = score("legacy_mauve_256", texts, roles, references=references)
    assert found.value == 0.5 and found.signature.options["tokens"] == 256
    score("legacy_mauve", texts, roles, references=references)
    score("legacy_mauve", first, roles, references=references)
    (p, q), (p_whole, q_whole), (p_cut, _) = seen
    np.testing.assert_array_equal(p, q)
    np.testing.assert_allclose(p, p_cut, atol=1e-5)
    assert np.abs(p_whole - q_whole).max() > 0.01
    few = score("legacy_mauve_256", texts[:19], roles)
    assert few.reason == "too few: 19 pairs without an empty text, and 20 are needed for two clusters"


class Clustering:
    """In place of a clustering."""

    mauve = 0.5
