"""Every metric against cases worked out by hand or recorded elsewhere; each case says which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.data.world import Judgement
from benchmarks.metrics import exact, legacy
from benchmarks.metrics.mauve import mauve

CASES = Path(__file__).parent / "cases"
OF_FUNCTIONS = ("exact", "sim", "mauve_features", "legacy_trimmed")


def load(name):
    return [pytest.param(case, id=case["origin"][:60]) for case in json.loads((CASES / f"{name}.json").read_text())]


def every():
    for path in sorted(CASES.glob("*.json")):
        if path.stem not in OF_FUNCTIONS:
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
        "detox", source, documents, case["texts"], [name], training=case.get("training"), evaluators=roles
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
    judgement = Judgement(tuple(case["rude"]), case["member"], case["kept"], case["lost"], case["invented"])
    reading = exact.Reading(case["member"], judgement)
    for view in ("polite", "grammatical", "faithful", "kept_share"):
        assert getattr(exact, view)(reading) == pytest.approx(case[view]), view


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


def test_every_metric_has_a_case():
    """Here, or in a test of this file or of its family's own."""
    single = {name for name in metrics.names() if not metrics.find(name).parts}
    of_models = {"sta", "fl", "perplexity", "legacy_ppl_mean", "legacy_ppl_trimmed", "detoxify"}
    of_features = {"mauve", "mauve_human", "legacy_mauve", "legacy_mauve_chunked"}
    of_readings = {name for name in single if name.startswith("exact_")}  # and test_laws.py
    as_another = {"legacy_bertscore", "legacy_bertscore_rescaled", "legacy_j_mean_sta"}  # see test_agreement.py
    with_case = {path.stem for path in CASES.glob("*.json")}
    assert single - with_case - of_models - of_features - of_readings - as_another == set()
