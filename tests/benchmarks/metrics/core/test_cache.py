"""A scoring that was cut short goes on, a second one is done at once, and nothing stale is ever found."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from baselines.contract import Document, UserError
from benchmarks import metrics
from benchmarks.metrics import language_model
from benchmarks.metrics.core import cache as keeping
from benchmarks.metrics.core.cache import FILE, Scores, Vectors
from benchmarks.records.files import line
from benchmarks.records.schema import to_json

ROOT = Path(__file__).parents[4]
DOCUMENTS = [Document(str(i), f"the {i} cats sat", f"a cat sat on {i}", (f"a cat sat on {i}",)) for i in range(40)]
TEXTS = [f"a dog sat on {i} mats" for i in range(40)]


def score(names, roles, cache, texts=TEXTS, **more):
    batch = metrics.MetricInput("detox", "local", DOCUMENTS, texts, **more)
    return metrics.score(batch, names, cache=cache, evaluators=roles)


@pytest.fixture
def forget():
    """What this process remembers is dropped, as if it had ended."""
    keeping._open.cache_clear()
    yield keeping._open.cache_clear
    keeping._open.cache_clear()


def test_scores_are_the_same_with_and_without_a_cache_and_from_it(roles, tmp_path, forget):
    names = ["perplexity", "sim", "sta", "rouge_l", "bleu", "diversity", "j"]
    without = score(names, roles, None)
    first = score(names, roles, tmp_path / "cache")
    forget()
    second = score(names, roles, tmp_path / "cache")
    assert without == first == second
    assert [line(to_json(found)) for found in without] == [line(to_json(found)) for found in second]  # byte for byte
    assert all(found.value is not None for found in second)


def test_a_second_scoring_asks_no_judge(roles, tmp_path, monkeypatch, forget):
    names = ["perplexity", "sta", "meteor_stems", "rouge_1"]
    names = [name for name in names if name != "meteor_stems" or importlib.util.find_spec("nltk")]
    first = score(names, roles, tmp_path)
    forget()
    for module in ("transformers", "rouge_score.rouge_scorer", "nltk.translate.meteor_score"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    monkeypatch.setattr(language_model, "load", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # they are there, as far as one can see
    assert score(names, roles, tmp_path) == first


MANY = [
    "bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "sim", "sta", "fl", "j", "perplexity", "diversity", "distinct_2",
    "repetition", "unigram_entropy", "memorisation", "longest_run", "length", "copy_rate",
]  # fmt: skip
JUDGES = ("torch", "transformers", "tokenizers", "sacrebleu", "rouge_score")
AGAIN = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cache import MANY, TEXTS, score
found = score(MANY, json.loads(sys.argv[1]), Path(sys.argv[2]), training=TEXTS[:30])
print(json.dumps([[one.value for one in found], [name for name in {JUDGES} if name in sys.modules]]))
"""


def test_a_second_scoring_loads_no_judge(roles, tmp_path):
    """In a process of its own, which imports neither what judges nor the framework that runs in. (How long it takes is
    measured in `tests/speed/test_scoring_cost.py`.)"""
    first = score(MANY, roles, tmp_path, training=TEXTS[:30])
    command = [sys.executable, "-c", AGAIN, json.dumps(roles), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    values, imported = json.loads(done.stdout)
    assert values == [one.value for one in first] and None not in values
    assert imported == []


def test_a_scoring_that_was_cut_short_goes_on(roles, tmp_path, monkeypatch, forget):
    """What was judged before the kill is not judged again, and the result is that of an undisturbed scoring."""
    whole = score(["perplexity"], roles, None)
    judged = []
    real = language_model._run

    def dying(network, ids, device):
        if len(judged) == 2:
            raise KeyboardInterrupt
        judged.append(len(ids))
        return real(network, ids, device)

    monkeypatch.setattr(language_model, "_LOGITS", {"cpu": 260 * 200})  # a few texts in a batch
    monkeypatch.setattr(language_model, "_run", dying)
    with pytest.raises(KeyboardInterrupt):
        score(["perplexity"], roles, tmp_path)
    before = sum(judged)
    assert 0 < before < 40
    judged.clear()
    judged.append(0)

    def counting(network, ids, device):
        judged.append(len(ids))
        return real(network, ids, device)

    monkeypatch.setattr(language_model, "_run", counting)
    forget()
    [found] = score(["perplexity"], roles, tmp_path)
    assert sum(judged) == 40 - before
    assert found.value == pytest.approx(whole[0].value, rel=1e-5)


def test_another_text_model_seed_reference_or_training_is_another_score(roles, tmp_path, forget):
    names = ["perplexity", "bleu", "memorisation"]
    first = score(names, roles, tmp_path, training=["a dog sat on 3 mats"])
    changed = score(names, roles, tmp_path, ["something else", *TEXTS[1:]], training=["a dog sat on 3 mats"])
    assert all(a.value != b.value for a, b in zip(first, changed, strict=True))
    other = score(names, roles, tmp_path, training=["b"])
    assert [a == b for a, b in zip(first, other, strict=True)] == [True, True, False]
    assert score(["perplexity"], roles, tmp_path, seed=1)[0].low != first[0].low
    documents = [Document(d.id, d.source, "x y", ("x y",)) for d in DOCUMENTS]
    [bleu] = metrics.score(metrics.MetricInput("detox", "local", documents, TEXTS), ["bleu"], cache=tmp_path)
    assert bleu.value != first[1].value


def test_a_judge_that_changed_in_its_folder_judges_again(roles, tmp_path, forget):
    import shutil

    folder = shutil.copytree(roles["lm"], tmp_path / "lm")
    [first] = score(["perplexity"], {"lm": str(folder)}, tmp_path / "cache")
    shutil.copyfile(Path(roles["toxicity"]) / "tokenizer.json", folder / "tokenizer.json")
    [same] = score(["perplexity"], {"lm": str(folder)}, tmp_path / "cache")
    assert same.value == first.value  # the same bytes
    text = (folder / "tokenizer_config.json").read_text()
    (folder / "tokenizer_config.json").write_text(text.replace('"<s>"', '"</s>"'))
    os.utime(folder / "tokenizer_config.json")
    from benchmarks.metrics.core import model_loading

    model_loading.load.cache_clear()
    [other] = score(["perplexity"], {"lm": str(folder)}, tmp_path / "cache")
    assert other.value != first.value


def test_scores_that_could_not_be_had_are_not_kept(roles, tmp_path, forget):
    [missing] = score(["perplexity"], {}, tmp_path)
    assert missing.reason.startswith("missing evaluator: ")
    [found] = score(["perplexity"], roles, tmp_path)
    assert found.value is not None


def test_vectors_are_made_once_per_text_and_maker(tmp_path, forget):
    asked = []

    def make(texts):
        asked.append(list(texts))
        for some in (texts[:1], texts[1:]):
            yield some, np.array([[len(text), 0.5] for text in some]).reshape(len(some), 2)

    vectors = Vectors(tmp_path)
    assert vectors.of("length", ["aa", "b", "aa"], make).tolist() == [[2.0, 0.5], [1.0, 0.5], [2.0, 0.5]]
    assert vectors.of("length", ["b", "ccc"], make).tolist() == [[1.0, 0.5], [3.0, 0.5]]
    assert asked == [["aa", "b"], ["ccc"]]
    vectors.of("other", ["b"], make)
    assert asked[-1] == ["b"]
    many = [str(i) for i in range(1200)]
    assert vectors.of("length", many, make)[:, 0].tolist() == [len(text) for text in many]


def test_memory_is_bounded(monkeypatch, forget):
    monkeypatch.setattr(keeping, "_IN_MEMORY", 3)

    def make(texts):
        yield texts, np.ones((len(texts), 1))

    vectors = Vectors()
    for start in range(5):
        assert vectors.of("one", [str(start), str(start + 1)], make).shape == (2, 1)
    assert vectors.of("one", [str(i) for i in range(9)], make).shape == (9, 1)


def test_a_cache_that_cannot_be_used_is_one_sentence(tmp_path, forget):
    (tmp_path / FILE).write_bytes(b"this is no database, but long enough to be read as one" * 40)
    with pytest.raises(UserError, match=r"Cannot keep scores in .*; delete scores.sqlite there"):
        score(["length"], {}, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set COSMOS_CACHE to another folder"):
        Scores(tmp_path / "file").get("x")
