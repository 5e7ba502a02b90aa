"""No metric sees a difference that no system of a run could write: all texts that are compared have one form."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace

import pytest

from baselines.contract import Document
from benchmarks import metrics, tasks
from benchmarks.data import world
from benchmarks.metrics.core import metric_names, normalisation
from benchmarks.metrics.core.metric import ANYWHERE, Evaluator, Measured, Metric
from benchmarks.records.schema import difference
from cosmos.text import round_trip

DRAW = {"detox": world.detox, "question": world.questions, "story": world.stories, "summary": world.summaries}
COUNT = 16
MAUVE_NEEDS = 50
TRIP = round_trip.find(None)


def as_people_write(text):
    """Capitals, an accent, other quotation marks and a double space: what an uncased tokenizer does not give back."""
    return text.capitalize().replace("a", "á", 1).replace(" the ", "  The ", 1)


def written(document):
    source = None if document.source is None else as_people_write(document.source)
    target = as_people_write(document.target)
    references = (target, *(as_people_write(text) for text in document.references[1:]))
    return Document(document.id, source, target, references)


def batch(task, normaliser=TRIP, source="world"):
    count = MAUVE_NEEDS if "mauve" in tasks.find(task).metrics else COUNT
    documents = [written(document) for document in DRAW[task]("test", count)]
    training = [as_people_write(document.target) for document in DRAW[task]("train", 2 * count)]
    texts = [document.target for document in documents]
    return metrics.MetricInput(task, source, documents, texts, training=training, normaliser=normaliser)


def runs(name):
    metric = metrics.find(name)
    if metric.parts:
        return all(map(runs, metric.parts))
    judge = metric.evaluator("world")
    return judge is not None and all(importlib.util.find_spec(module) for module in judge.modules)


@pytest.mark.parametrize("task", tasks.names())
def test_references_through_the_tokenizer_score_what_the_reference_scores(task, roles):
    """Every metric of every task, and on detox every other one too; or it says that it sees texts as written."""
    every = metrics.names() if task == "detox" else tasks.find(task).metrics
    names = [name for name in every if runs(name) and metrics.find(name).form == "round trip"]
    assert len(names) > 10
    reference = batch(task)
    through = replace(reference, texts=TRIP.once(reference.texts))
    assert not set(through.texts) & set(reference.texts)
    scores = [metrics.score(one, names, evaluators=roles) for one in (reference, through)]
    for one, other in zip(*scores, strict=True):
        assert one == other, one.metric
    for score in scores[0]:
        if score.metric.startswith("exact_") and not (score.reason or "").startswith("not run"):
            assert score.value == 1.0, score.metric
        if score.metric in ("bleu", "chrf", "rouge_l"):
            assert score.value == pytest.approx(100.0 if score.metric != "rouge_l" else 1.0), score.metric


def test_without_one_form_letter_case_costs_a_perfect_answer_its_score():
    """What the law above is there for: this is what texts as written give."""
    plain = batch("detox", normaliser=None, source="local")
    through = replace(plain, texts=TRIP.once(plain.texts))
    names = ["chrf", "legacy_bleu_characters"]
    for name, limit in zip(names, (90.0, 0.9), strict=True):
        [perfect], [cut] = (metrics.score(one, [name]) for one in (plain, through))
        if perfect.reason is None:
            assert cut.value < limit < perfect.value


def test_signatures_name_the_form_and_unlike_forms_are_not_compared(roles):
    plain = batch("detox", normaliser=None)
    names = ["chrf", "copy_rate", "exact_j", "exact_salient", "sim"]
    for one, other in zip(
        metrics.score(plain, names, evaluators=roles),
        metrics.score(replace(plain, normaliser=TRIP), names, evaluators=roles),
        strict=True,
    ):
        assert "form" not in one.signature.options
        assert other.signature.form == TRIP.form
        assert "option form “not set” against “round trip 1" in difference([one.signature, other.signature])


def test_a_score_of_another_form_is_not_taken_from_the_cache(tmp_path):
    plain = batch("detox", normaliser=None)
    before, after, again = (
        metrics.score(one, ["chrf"], cache=tmp_path)[0]
        for one in (plain, replace(plain, normaliser=TRIP), replace(plain, normaliser=TRIP))
    )
    assert before.signature != after.signature
    assert again == after


def test_a_metric_may_ask_for_texts_as_they_were_written(monkeypatch):
    seen = {}

    def see(name):
        def measure(given):
            seen[name] = given
            return Measured(values=tuple(float(text.islower()) for text in given.texts))

        return Evaluator(lambda: "test 1", measure, training=True)

    for name, form in (("shape", "as written"), ("shadow", "round trip")):
        metric = Metric(name, "A test.", "none", evaluators={ANYWHERE: see(name)}, form=form)
        monkeypatch.setattr(sys.modules[__name__], f"METRIC_{name}", metric, raising=False)
        monkeypatch.setitem(sys.modules, "metric_of_a_test", sys.modules[__name__])
        monkeypatch.setitem(metric_names._METRICS, name, f"metric_of_a_test:METRIC_{name}")
    given = batch("story")
    shape, shadow = metrics.score(given, ["shape", "shadow"])
    assert (shape.value, shadow.value) == (0.0, 1.0)
    assert shape.signature.options == {"form": normalisation.AS_WRITTEN}
    assert shadow.signature.options == {"form": TRIP.form}
    assert seen["shape"].documents == given.documents
    assert seen["shape"].training == given.training
    for texts in (seen["shadow"].training, [document.target for document in seen["shadow"].documents]):
        assert texts == TRIP.once(texts)
    assert {document.source for document in seen["shadow"].documents} == {None}
    assert [document.id for document in seen["shadow"].documents] == [document.id for document in given.documents]
