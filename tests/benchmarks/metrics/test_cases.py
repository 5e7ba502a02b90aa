"""Every metric against cases worked out by hand or recorded elsewhere; each case says which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.data.world import Judgement
from benchmarks.metrics import exact

CASES = Path(__file__).parent / "cases"


def load(name):
    return [pytest.param(case, id=case["origin"][:60]) for case in json.loads((CASES / f"{name}.json").read_text())]


def score(name, case, source="local"):
    sources = case.get("sources", ["a source"] * len(case["texts"]))
    references = case.get("references", [[text] for text in sources])
    documents = [
        Document(str(i), asked, answers[0], tuple(answers))
        for i, (asked, answers) in enumerate(zip(sources, references, strict=True))
    ]
    [found] = metrics.score("detox", source, documents, case["texts"], [name])
    assert (found.n, found.total) == (len(case["texts"]), len(case["texts"]))  # no text is dropped
    return found


@pytest.mark.parametrize("case", load("bleu"))
def test_bleu(case):
    assert score("bleu", case).value == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("rouge_l"))
def test_rouge_l(case):
    assert score("rouge_l", case).value == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("copy_rate"))
def test_copy_rate(case):
    assert score("copy_rate", case).value == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("length"))
def test_length(case):
    assert score("length", case).value == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("sim"))
def test_sim(case):
    assert score("sim", case).value == pytest.approx(case["value"], abs=case["tolerance"])


@pytest.mark.parametrize("case", load("exact"))
def test_views_of_a_reading(case):
    """What the exact metrics make of the grammar's reading; the reading itself is tested with the grammar."""
    judgement = Judgement(tuple(case["rude"]), case["member"], case["kept"], case["lost"], case["invented"])
    reading = exact.Reading(case["member"], judgement)
    for view in ("polite", "grammatical", "faithful", "kept_share"):
        assert getattr(exact, view)(reading) == pytest.approx(case[view]), view
