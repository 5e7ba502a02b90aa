"""Metrics of the library evaluate by folder, and metrics of other packages by entry point."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from baselines import registry
from baselines.contract import Document, UserError
from benchmarks import metrics
from benchmarks.records.schema import difference

DOCUMENTS = [Document(str(i), "a source", t, (t, "another")) for i, t in enumerate(["a cat", "a dog", "a mat"])]
TEXTS = ["a cat", "another", ""]
SCRIPT = """
import datasets
import evaluate


class {name}(evaluate.Metric):
    def _info(self):
        references = {references}
        return evaluate.MetricInfo(
            description="", citation="", features=datasets.Features(
                {{"predictions": datasets.Value("string"), "references": references}}
            ),
        )

    def _compute(self, predictions, references):
        hits = [{hit} for p, r in zip(predictions, references)]
        return {result}
"""
needs_evaluate = pytest.mark.skipif(
    importlib.util.find_spec("evaluate") is None, reason="evaluate is of the extra eval"
)


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write the folder of a metric and give its name for us."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))

    def write(name, references='datasets.Value("string")', hit="p == r", result='{"hits": sum(hits) / len(hits)}'):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        text = SCRIPT.format(name=name.title(), references=references, hit=hit, result=result)
        (folder / f"{name}.py").write_text(text)
        return f"evaluate:{folder}"

    return write


def score(name):
    [found] = metrics.score(metrics.MetricInput("detox", "local", DOCUMENTS, TEXTS), [name])
    return found


@needs_evaluate
def test_a_metric_of_a_folder_is_what_evaluate_says(script):
    import evaluate

    name = script("hits")
    found = score(name)
    module = evaluate.load(name.removeprefix("evaluate:"))
    theirs = module.compute(predictions=TEXTS, references=[d.target for d in DOCUMENTS])["hits"]
    assert found.value == pytest.approx(theirs, abs=1e-6) == pytest.approx(1 / 3, abs=1e-6)
    assert (found.metric, found.n, found.total, found.direction) == (name, 3, 3, "none")
    assert found.signature.evaluator.startswith("evaluate 0.")
    assert found.signature.options == {"result": "hits"}


@needs_evaluate
def test_several_references_results_by_key_and_scores_per_text(script):
    name = script("many", 'datasets.Sequence(datasets.Value("string"))', "p in r", '{"a": hits, "b": 2.5}')
    assert score(f"{name}#b").value == 2.5
    found = score(f"{name}#a")
    assert found.values == (1.0, 1.0, 0.0)
    assert found.low is not None
    assert score(f"{name}#c").reason == "failed: ValueError: many gives a, b, and no c"


@needs_evaluate
def test_two_states_of_a_script_are_two_judges(script):
    name = script("state")
    first = score(name)
    script("state", hit="p != r")
    second = score(name)
    assert difference([first.signature, second.signature]).startswith("evaluator “evaluate ")


@needs_evaluate
def test_a_script_that_breaks_is_said(script):
    found = score(script("broken", hit="1 / 0"))
    assert found.reason.startswith("failed: ZeroDivisionError: division by zero")


def test_names_that_cannot_be(tmp_path):
    for name in ("evaluate:", "evaluate:./no/folder", f"evaluate:{tmp_path}/none"):
        with pytest.raises(UserError, match="There is no metric for evaluate at"):
            metrics.find(name)


OUTSIDE = """
from benchmarks.metrics.core.metric import ANYWHERE, Evaluator, Measured, Metric


def measure(batch):
    return Measured(values=tuple(float("!" in text) for text in batch.texts))


SHOUTING = Metric(
    name="shouting",
    summary="Share of texts with an exclamation mark; 0 to 1.",
    direction="lower",
    evaluators={ANYWHERE: Evaluator(name=lambda: "loud 1.0", measure=measure)},
)
"""


def test_a_metric_of_another_package_is_an_entry_point(tmp_path, monkeypatch):
    info = tmp_path / "loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cosmos_bench.metrics]\nshouting = loud_metric:SHOUTING\n")
    (tmp_path / "loud_metric.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metrics.names()[-1] == "shouting"
    [found] = metrics.score(
        metrics.MetricInput("detox", "local", DOCUMENTS, ["a!", "b", "c!"]), ["shouting"], cache=tmp_path / "cache"
    )
    assert found.value == pytest.approx(2 / 3, abs=1e-6)
    assert found.signature.evaluator == "loud 1.0"
    (tmp_path / "loud_metric.py").write_text(OUTSIDE.replace('"!" in', '"!" not in'))
    sys.modules.pop("loud_metric")
    [changed] = metrics.score(
        metrics.MetricInput("detox", "local", DOCUMENTS, ["a!", "b", "c!"]), ["shouting"], cache=tmp_path / "cache"
    )
    assert changed.value == pytest.approx(1 / 3, abs=1e-6)  # though it has the same name and version
    (info / "entry_points.txt").write_text("[cosmos_bench.metrics]\nshouting = no_such_module:X\n")
    registry.installed.cache_clear()
    with pytest.raises(UserError, match="The metric 'shouting' of the package loud cannot be loaded"):
        metrics.find("shouting")
