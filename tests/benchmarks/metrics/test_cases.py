"""Every metric against cases worked out by hand or recorded elsewhere; each case says which."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.data.world import DetoxJudgement
from benchmarks.metrics import exact, legacy
from benchmarks.metrics.core import evaluate
from benchmarks.metrics.core.metric import ANYWHERE, Evaluator, Measured, Metric
from benchmarks.metrics.mauve import mauve

CASES = Path(__file__).parent / "cases"
ORIGINS = (
    r"(by hand|(by )?definition|closed form|numerical integration|convention of|the shape of|sentence-transformers)\b"
)
OF_FUNCTIONS = ("exact", "exact_views", "sim", "mauve_features", "legacy_trimmed")
PRODUCTS = ("j", "exact_j", "j_profanity", "j_offline")  # cases say what the parts are


def load(name):
    return [pytest.param(case, id=case["origin"][:60]) for case in json.loads((CASES / f"{name}.json").read_text())]


def every():
    for path in sorted(CASES.glob("*.json")):
        if path.stem not in (*OF_FUNCTIONS, *PRODUCTS, "legacy_j_mean_sta"):
            for case in json.loads(path.read_text()):
                yield pytest.param(path.stem, case, id=f"{path.stem}: {case['origin'][:60]}")


def score(name, case, roles=None, source="local"):
    metric = metrics.find(name).evaluator(source)
    for module in metric.modules:
        pytest.importorskip(module, reason=f"{name} needs {module}, of the extra eval")
    sources = case.get("sources", ["a source"] * len(case["texts"]))
    references = case.get("references", [[text] for text in sources])
    documents = [
        Document(str(i), asked, answers[0], tuple(answers))
        for i, (asked, answers) in enumerate(zip(sources, references, strict=True))
    ]
    [found] = metrics.score(
        metrics.MetricInput("detox", source, documents, case["texts"], training=case.get("training")),
        [name],
        evaluators=roles,
    )
    assert found.reason is None, found.reason
    assert (found.n, found.total) == (case.get("n", len(case["texts"])), len(case["texts"]))  # none dropped unsaid
    return found


@pytest.mark.parametrize(("name", "case"), list(every()))
def test_case(name, case, roles):
    assert score(name, case, roles).value == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("sim"))
def test_similarity_by_the_packaged_encoder(case):
    assert score("sim", case).value == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("exact"))
def test_views_of_a_reading(case):
    """What the exact metrics make of the grammar's reading; the reading itself is tested with the grammar."""
    judgement = DetoxJudgement(tuple(case["rude"]), case["member"], case["kept"], case["lost"], case["invented"])
    reading = exact.Reading(case["member"], judgement)
    for view in ("polite", "in_language", "faithful", "kept_share"):
        assert getattr(exact, view)(reading) == pytest.approx(case[view], abs=case["tolerance"]), view


@pytest.mark.parametrize("case", load("mauve_features"))
def test_mauve_of_features(case):
    pytest.importorskip("mauve", reason="mauve-text is of the extra eval")
    texts, references = (
        np.repeat(np.array(case[side], dtype=float), case["times"], axis=0) for side in ("texts", "references")
    )
    assert mauve(texts, references, 0) == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("legacy_trimmed"))
def test_trimmed_mean(case):
    assert legacy.trimmed_mean(case["values"], case["share"]) == pytest.approx(case["value"], abs=case["tolerance"])


def test_perplexity_of_a_model_that_knows_nothing_is_the_size_of_its_vocabulary(flat_lm):
    """By definition: each of 260 tokens has probability 1/260, whatever the text; a blank text has no token."""
    case = {"texts": ["the cat sat", "yes", " ", "日本"], "n": 3}
    roles = {"lm": flat_lm, "paper_lm": flat_lm}
    assert score("perplexity", case, roles).value == pytest.approx(260.0, rel=1e-5)
    for name in ("legacy_ppl_mean", "legacy_ppl_trimmed"):  # which leave out empty texts, not blank ones
        assert score(name, {**case, "n": 4}, roles).value == pytest.approx(260.0, rel=1e-5)


@pytest.mark.parametrize(("name", "role"), [("sta", "toxicity"), ("fl", "acceptability")])
def test_classifiers_that_are_sure(name, role, sure):
    """By definition: all texts are in the good class, or none; a blank text never is."""
    case = {"texts": ["the cat sat", "yes", "idiot", "\n"]}
    assert score(name, case, {role: sure[True]}).values == (1.0, 1.0, 1.0, 0.0)
    assert score(name, case, {role: sure[False]}).value == 0.0


@pytest.mark.parametrize("case", load("exact_views"))
def test_views_that_some_tasks_have(case):
    reading = exact.Reading(True, SimpleNamespace(**case["judgement"]))
    assert getattr(exact, case["view"])(reading) == pytest.approx(case["value"], abs=case["tolerance"])


def given(name, values):
    """A metric by whose evaluator the texts have these values."""
    evaluator = Evaluator(lambda: "by hand", lambda batch: Measured(values=tuple(values)))
    return Metric(name, "Given by a case.", "higher", evaluators={ANYWHERE: evaluator})


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, *case.values, id=f"{name}: {case.id}") for name in PRODUCTS for case in load(name)],
)
def test_product_of_parts(name, case, monkeypatch):
    parts = {part: given(part, values) for part, values in case["parts"].items()}
    assert tuple(parts) == metrics.find(name).parts
    monkeypatch.setattr(evaluate, "find", lambda name: parts.get(name) or metrics.find(name))
    documents = [Document(str(i), "a source", "a target", ("a target",)) for i in range(len(case["values"]))]
    [found] = metrics.score(metrics.MetricInput("detox", "world", documents, ["a text"] * len(documents)), [name])
    assert found.values == pytest.approx(tuple(case["values"]), abs=case["tolerance"])
    assert found.value == pytest.approx(case["value"], abs=case["tolerance"])
    assert found.n == case.get("n", len(documents))


@pytest.mark.parametrize("case", load("legacy_j_mean_sta"))
def test_product_of_means(case, roles, monkeypatch):
    classes = {"toxicity": case["parts"]["sta"], "acceptability": case["parts"]["fl"]}
    monkeypatch.setattr(legacy, "probabilities", lambda _, role, texts: np.array([[p, 1 - p] for p in classes[role]]))
    monkeypatch.setattr(legacy, "cosines", lambda *_: np.array(case["parts"]["sim"]))
    assert score("legacy_j_mean_sta", case, roles).value == pytest.approx(case["value"], abs=case["tolerance"])


WITHOUT_A_FILE = {  # metric -> the test that holds its cases, where they are no texts with a number
    **dict.fromkeys(("sta", "fl"), "test_classifiers_that_are_sure"),
    **dict.fromkeys(
        ("perplexity", "legacy_ppl_mean", "legacy_ppl_trimmed"),
        "test_perplexity_of_a_model_that_knows_nothing_is_the_size_of_its_vocabulary",
    ),
    "detoxify": "test_detoxify_is_that_of_detoxify",
    "fl_links": "test_a_text_links_where_it_leaves_no_more_words_than_its_source",
    "fl_lm": "test_likelihoods_are_those_of_the_model_and_blank_texts_have_none",
    "exact_novel": "test_a_story_known_by_heart_or_told_again_is_none",
    **dict.fromkeys(("mauve", "mauve_human", "legacy_mauve"), "test_mauve_of_features"),
    "legacy_mauve_chunked": "test_mauve_of_chunks_is_the_mean_over_all_pairs_of_them",
    **dict.fromkeys(("exact_rudeness", "exact_facts", "exact_facts_kept", "exact_language"), "test_views_of_a_reading"),
    **dict.fromkeys(("exact_linked", "exact_answerable", "exact_salient"), "test_views_that_some_tasks_have"),
    "legacy_gen_ppl": "test_generative_perplexity_by_hand",
    "legacy_sample_entropy": "test_entropy_is_that_of_the_records",
    "legacy_ppl_neo": "test_perplexity_of_tencdm_by_hand",
    "legacy_mauve_256": "test_what_follows_256_tokens_is_not_read",
    "legacy_diversity_spacy": "test_diversity_of_the_paper_by_hand",
    "legacy_memorisation_spacy": "test_memorisation_of_the_paper_by_hand",
    **dict.fromkeys(
        ("nll", "nll_perplexity", "nll_entropy"), "test_nats_for_each_shared_token_and_the_entropy_beside_it"
    ),
    "legacy_bertscore": "test_bertscore_is_that_of_bert_score",
    "legacy_bertscore_rescaled": "test_rescaled_bertscore_is_that_of_bert_score",
}
AGREES = {  # what a wrapped library is called by -> the test that calls it in its own plain way
    "sacrebleu": ("test_bleu_and_chrf_are_those_of_sacrebleu", "test_bleu_of_pieces_is_that_of_sacrebleu"),
    "rouge-score": ("test_rouge_is_that_of_rouge_score", "test_rouge_lsum_is_that_of_rouge_score_on_lines"),
    "nltk": (
        "test_meteor_is_that_of_nltk",
        "test_meteor_with_synonyms_is_that_of_nltk",
        "test_character_bleu_is_that_of_nltk",
    ),
    "bert-score": ("test_bertscore_is_that_of_bert_score", "test_rescaled_bertscore_is_that_of_bert_score"),
    "mauve-text": ("test_mauve_is_that_of_mauve_text", "test_mauve_of_chunks_is_the_mean_over_all_pairs_of_them"),
    "faiss-cpu": ("test_mauve_is_that_of_mauve_text",),
    "spacy": ("test_tokens_are_those_of_spacy_alone",),
    "detoxify": ("test_detoxify_is_that_of_detoxify",),
    "link-grammar": ("test_unused_words_are_counted",),
    "alt-profanity-check": ("test_profanity_is_that_of_profanity_check",),
    "transformers": ("test_perplexity_is_that_of_transformers", "test_classifiers_are_those_of_transformers"),
}


def names_of_tests():
    return set(re.findall(r"def (test_\w+)", "".join(p.read_text() for p in Path(__file__).parent.glob("test_*.py"))))


def test_every_metric_has_cases():
    """In a file of its own, or in a test that is named here."""
    with_file = {path.stem for path in CASES.glob("*.json")} - set(OF_FUNCTIONS) | {"sim"}
    assert with_file | set(WITHOUT_A_FILE) == set(metrics.names())
    assert with_file & set(WITHOUT_A_FILE) == set()
    assert set(WITHOUT_A_FILE.values()) <= names_of_tests()


def test_every_case_says_where_it_comes_from():
    for path in CASES.glob("*.json"):
        for case in json.loads(path.read_text()):
            assert re.match(ORIGINS, case["origin"]), path
            assert 0 <= case["tolerance"] <= 0.01, (path, case["origin"])


def test_every_library_that_judges_is_called_in_its_own_way_too():
    judges = {m.evaluator("local") or m.evaluator("world") for m in map(metrics.find, metrics.names()) if not m.parts}
    libraries = {part.partition(" ")[0] for judge in judges for part in judge.name().split(", ")}
    assert libraries - {"cosmos-bench", "world"} == set(AGREES)
    assert {name for names in AGREES.values() for name in names} <= names_of_tests()
