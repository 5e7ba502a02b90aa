"""Scoring a run: what is passed to the metrics, what is asked for, what is kept, and what is never touched."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Document, UserError
from benchmarks import metrics
from benchmarks.metrics.core import selection
from benchmarks.planning.plan import Plan
from benchmarks.records import run_texts, store
from benchmarks.records.schema import Score
from benchmarks.running import runner, scoring
from benchmarks.running.generation import CellGeneration

ROOT = Path(__file__).parents[3]
Make = Callable[..., Plan]


def cells(run: Path) -> list[Path]:
    return sorted((run / "cells").iterdir())


def scores(folder: Path) -> dict[str, Score]:
    return {score.metric: score for score in store.read_scores(folder)}


def test_metrics_are_given_what_the_system_learnt_from(planned: Make, quiet: Any, tmp_path: Path) -> None:
    """The toy's six training texts are `word train n`, and what it writes are test texts, so it copies none."""
    runner.run(planned("data.train=6", metric="training_copies,longest_run"), quiet)
    for folder in cells(tmp_path / "run"):
        found = scores(folder)
        assert set(found) == {"training_copies", "training_copies_human", "longest_run", "longest_run_human"}
        assert (found["training_copies"].value, found["training_copies"].n) == (0.0, 23)
        assert found["longest_run_human"].signature.options["training"] == 6
    shutil.rmtree(tmp_path / "run" / "learnt")
    for folder in cells(tmp_path / "run"):
        (folder / "scores.jsonl").unlink()
    runner.run(planned("data.train=6", metric="training_copies"), quiet)  # as a run of an earlier version goes on
    assert scores(cells(tmp_path / "run")[0])["training_copies"].value == 0.0


def test_what_was_learnt_is_kept_whole_and_by_its_hash(tmp_path: Path) -> None:
    documents = [Document(str(n), None, text, (text,)) for n, text in enumerate(["a\nb", "é\u2028c", ""])]
    known = run_texts.write_learnt(tmp_path, documents)
    assert known == {**run_texts.digest(documents), "targets": known["targets"]}
    assert run_texts.read_learnt(tmp_path, known["sha256"], known["targets"]) == ["a\nb", "é\u2028c", ""]
    assert run_texts.read_learnt(tmp_path, "0" * 64) is None
    [path] = (tmp_path / "learnt").iterdir()
    before = path.read_bytes()
    path.unlink()
    run_texts.write_learnt(tmp_path, documents)
    assert path.read_bytes() == before
    path.write_bytes(before[:-9])
    with pytest.raises(UserError, match="is damaged; delete it"):
        run_texts.read_learnt(tmp_path, known["sha256"])
    path.write_bytes(gzip.compress(b'"a"\n'))
    with pytest.raises(UserError, match="was changed after it was written; delete it"):
        run_texts.read_learnt(tmp_path, known["sha256"], known["targets"])
    path.write_bytes(gzip.compress(b"no json\n"))
    with pytest.raises(UserError, match="is damaged; delete it"):
        run_texts.read_learnt(tmp_path, known["sha256"])


def test_words_stand_for_metrics_with_what_they_are_never_shown_without() -> None:
    usual = ("mauve", "length")
    plain = selection.select((), usual)
    with_companions = ("mauve", "mauve_human", "training_copies", "training_copies_human", "length")
    assert plain.metrics == plain.order == with_companions
    assert plain.sparing == set(with_companions)
    everything = selection.select(("all",), usual)
    assert (everything.metrics, everything.sparing) == (plain.metrics, frozenset())
    named = selection.select(("usual", "perplexity"), usual)
    assert named.metrics == (*with_companions, "perplexity", "unigram_entropy", "repetition")
    assert named.sparing == set(with_companions) - {"length"}
    alone = selection.select(("j",), usual)
    assert alone.metrics == ("j",)
    assert alone.asked == {"j", "sta", "sim", "fl"}
    assert alone.order == (*plain.order, "j")
    with pytest.raises(UserError, match="did you mean usual"):
        selection.select(("usuall",), usual)
    with pytest.raises(UserError, match="There is no metric for evaluate"):
        selection.select(("evaluate:./nowhere",), usual)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("evaluators.toxic=minilm", "did you mean evaluators.toxicity"),
        ("evaluators.toxicity=roberta-col", "did you mean roberta-cola"),
        ("evaluators.toxicity=./no/folder", "There is no folder ./no/folder"),
        ("evaluators=minilm", "Unknown key of --set 'evaluators'"),
    ],
)
def test_wrong_evaluators_are_refused_before_any_work(planned: Make, word: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        planned(word)


def test_evaluators_are_remembered_and_a_new_one_judges_again(planned: Make, quiet: Any, tmp_path: Path) -> None:
    """Nothing else is judged again, and no text is made again."""
    runner.run(planned(), quiet)
    folder = cells(tmp_path / "run")[0]
    assert store.read_plan(tmp_path / "run")["evaluators"] == {}  # type: ignore[index]
    before = store.read_scores(folder)
    words = {"similarity": "sentence-transformers/all-MiniLM-L6-v2", "lm": "gpt2-large"}
    runner.run(
        planned(*(f"evaluators.{role}={name}" for role, name in words.items()), metric="usual,perplexity"), quiet
    )
    assert store.read_plan(tmp_path / "run")["evaluators"] == words  # type: ignore[index]
    found = scores(folder)
    assert found["perplexity"].reason == (
        "missing evaluator: gpt2-large is not on this machine; add it with: python -m benchmarks fetch gpt2-large"
    )
    assert tuple(found[score.metric] for score in before) == before
    asked = selection.select(("sim", "length"), (), {})
    assert scoring.missing(folder, asked, "lines") == ("sim",)
    scoring.score(tmp_path / "run", folder, header(folder), asked)
    assert scoring.missing(folder, asked, "lines") == ()
    assert scoring.missing(folder, selection.select(("sim", "length"), (), {"similarity": "smollm2"}), "lines") == (
        "sim",
    )


def header(folder: Path) -> Any:
    found = store.read_header(folder)
    assert found is not None
    return found


def test_a_score_that_was_had_is_not_lost_to_one_that_is_not_run(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    runner.run(planned(metric="sim"), quiet)
    folder = cells(run)[0]
    [had] = store.read_scores(folder)
    assert had.value is not None
    shutil.rmtree(tmp_path / "cosmos")  # so that nothing is found there
    from benchmarks.metrics.core import cache
    from benchmarks.metrics.core import evaluate as inner

    cache._open.cache_clear()
    monkeypatch.setattr(inner, "LARGE_MEGABYTES", 1.0)
    scoring.score(run, folder, header(folder), selection.select((), ("sim",)))
    assert store.read_scores(folder) == (had,)
    (folder / "scores.jsonl").unlink()
    scoring.score(run, folder, header(folder), selection.select((), ("sim",)))
    [spared] = store.read_scores(folder)
    assert spared.value is None
    assert "takes minutes" in (spared.reason or "")
    assert (spared.n, spared.total) == (0, 23)
    assert scoring.missing(folder, selection.select((), ("sim",)), "lines") == ()
    asked = selection.select(("sim",), ("sim",))
    assert scoring.missing(folder, asked, "lines") == ("sim",)
    scoring.score(run, folder, header(folder), asked)
    assert store.read_scores(folder) == (had,)


WITHOUT = """
import json, sys
from benchmarks.cli.main import main
from reports.figures.picture import Picture
Picture.svg, Picture.pdf = "<svg viewBox='0 0 1 1'></svg>", b"%PDF-1.4"
code = main(["score", "--out", sys.argv[1], "--metric", "usual,sim,training_copies"])
loaded = [name for name in sys.modules if name.partition(".")[0] in ("baselines", "cosmos", "toy_contestants")]
print(json.dumps([code, "torch" in sys.modules, sorted(loaded)]))
"""


def test_scoring_loads_no_system_and_needs_no_checkpoint(
    planned: Make, quiet: Any, tmp_path: Path, installed: Path
) -> None:
    """The encoder that judges is loaded; of ours nothing but the contract, and of the contestants nothing."""
    run = tmp_path / "run"
    runner.run(planned(), quiet)
    shutil.rmtree(run / "checkpoints")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests/benchmarks/outside"), str(installed)])
    variables = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", WITHOUT, str(run)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables)
    assert done.returncode == 0, done.stderr
    code, torch, loaded = json.loads(done.stdout.splitlines()[-1])
    assert (code, torch) == (0, True)
    names = {"baselines", "baselines.contract", "baselines.registry", "baselines.titles"}
    names |= {
        "cosmos",
        "cosmos.io",
        "cosmos.io.errors",
        "cosmos.io.counting",
        "cosmos.io.files",
        "cosmos.io.interrupts",
        "cosmos.io.later_fields",
        "cosmos.io.launched",
        "cosmos.io.locks",
        "cosmos.io.parquet",
        "cosmos.io.seals",
        "cosmos.io.terminal",
        "cosmos.io.typed_json",
        "cosmos.runtime",
        "cosmos.runtime.call_count",
    }
    names |= {"cosmos.training", "cosmos.training.budget", "cosmos.training.config"}
    names |= {"cosmos.text", "cosmos.text.detokenise", "cosmos.text.round_trip", "cosmos.text.tokenizer"}
    assert set(loaded) <= names
    for folder in cells(run):
        found = scores(folder)
        assert list(found) == ["copy_rate", "length", "sim", "training_copies", "training_copies_human"]
        assert all(score.value is not None for score in found.values())


def test_any_metric_of_evaluate_by_its_folder(planned: Make, quiet: Any, tmp_path: Path) -> None:
    pytest.importorskip("evaluate", reason="evaluate is of the extra eval")
    folder = tmp_path / "share_of_vowels"
    folder.mkdir()
    (folder / "share_of_vowels.py").write_text(
        "import datasets\nimport evaluate\n\n\nclass Share(evaluate.Metric):\n"
        "    def _info(self):\n"
        "        text = datasets.Value('string')\n"
        "        return evaluate.MetricInfo(description='', citation='', features=datasets.Features(\n"
        "            {'predictions': text, 'references': text}))\n\n"
        "    def _compute(self, predictions, references):\n"
        "        letters = ''.join(predictions)\n"
        "        return {'share': sum(letter in 'aeiou' for letter in letters) / len(letters)}\n"
    )
    runner.run(planned(metric=f"usual,evaluate:{folder}"), quiet)
    for cell in cells(tmp_path / "run"):
        found = scores(cell)[f"evaluate:{folder}"]
        texts = "".join(sample.text for sample in store.read_samples(cell))
        assert found.value == pytest.approx(sum(letter in "aeiou" for letter in texts) / len(texts), abs=1e-6)


def test_what_a_source_read_stands_in_the_header(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned()
    said = {"revision": "abc", "sha256": {"test": "0" * 64}}
    monkeypatch.setattr(type(plan.source), "content", lambda self, task: said, raising=False)
    runner.run(plan, quiet)
    assert all(header(folder).content == said for folder in cells(tmp_path / "run"))


def test_nothing_is_scored_before_everything_is_timed(
    planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    finish, score = CellGeneration.finish, scoring.score

    def finished(cell: CellGeneration) -> Any:
        order.append("generate")
        return finish(cell)

    def scored(*args: Any, **more: Any) -> None:
        order.append("score")
        score(*args, **more)

    monkeypatch.setattr(CellGeneration, "finish", finished)
    monkeypatch.setattr(scoring, "score", scored)
    runner.run(planned(seeds="2"), quiet)
    assert order == ["generate"] * 4 + ["score"] * 4


def test_every_tasks_metrics_bring_their_companions() -> None:
    from benchmarks import tasks

    for name in tasks.names():
        declared = tasks.find(name).metrics
        assert set(metrics.expand(declared)) == set(declared), name
        assert any(metric.startswith("exact_") for metric in declared)
