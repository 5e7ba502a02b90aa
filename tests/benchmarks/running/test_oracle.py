"""The oracle and the floors through the runner, on every task of the world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Document, UserError
from baselines.reference import disliked
from baselines.reference.oracle import OracleSystem
from benchmarks import metrics
from benchmarks.data import world
from benchmarks.data.built_in import World, WorldOptions
from benchmarks.data.local import Local
from benchmarks.data.world.detox import language
from benchmarks.data.world.language.texts import plain, tokens_of
from benchmarks.planning.plan import Plan, make
from benchmarks.planning.run_config import gather
from benchmarks.records import store
from benchmarks.running import runner

CEILINGS = {  # scores of which the source's own draws have the best
    "detox": ("exact_j", "exact_facts", "exact_language"),
    "question": ("exact_facts", "exact_language"),
    "summary": ("exact_facts", "exact_language"),
    "story": ("exact_language", "exact_linked"),
}
TESTED = 8
DATA = ("data.train=20", "data.validation=5", f"data.test={TESTED}")
pytestmark = pytest.mark.usefixtures("steady", "no_power_cuts", "unjudged")


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor that deletes words asks nobody, which takes a process of its own."""
    monkeypatch.setattr(disliked, "judge", lambda: None)


def plan(task: str, systems: str, folder: Path, **flags: Any) -> Plan:
    return make(gather({"task": task, "system": systems, "out": str(folder), **flags}, DATA), "cpu")


def documents_of(task: str) -> Sequence[Document]:
    return World(WorldOptions(test=TESTED)).load(task, "test")


def done(task: str, systems: str, folder: Path, quiet: Any) -> dict[str, Any]:
    assert runner.run(plan(task, systems, folder), quiet, ("fit", "generate")).exit_code == 0
    return {record.header.cell.system: record for record in store.read_run(folder)}


@pytest.mark.parametrize(
    "task", [task if task in ("detox", "story") else pytest.param(task, marks=pytest.mark.slow) for task in CEILINGS]
)
def test_the_oracle_answers_every_task_with_draws_of_the_source(task: str, quiet: Any, tmp_path: Path) -> None:
    records = done(task, "oracle,null", tmp_path / "run", quiet)
    oracle, null = records["oracle"], records["null"]
    assert oracle.header.status == null.header.status == "done"
    assert {(s.text, s.tokens, s.finished) for s in null.samples} == {("", 0, True)}
    documents, texts = documents_of(task), [sample.text for sample in oracle.samples]
    for name in CEILINGS[task]:
        (score,) = metrics.score(metrics.MetricInput(task, "world", documents, texts), [name])
        assert score.value == 1.0, name
    assert len({sample.text for sample in oracle.samples}) == len(oracle.samples)
    law = World(WorldOptions(test=TESTED)).law(task)
    assert texts == [law(d.source, s.seed) for d, s in zip(documents, oracle.samples, strict=True)]


def test_likelihoods_are_kept_and_scored_and_the_same_again(quiet: Any, tmp_path: Path) -> None:
    task = "detox"
    folders = [tmp_path / "run", tmp_path / "again"]
    for folder in folders:
        records = done(task, "oracle,null", folder, quiet)
    files = [store.cell_folder(f, records["oracle"].header.cell.id) / store.LIKELIHOODS for f in folders]
    assert files[0].read_bytes() == files[1].read_bytes()
    kept = store.read_likelihoods(files[0].parent)
    assert kept is not None and [row.id for row in kept] == [d.id for d in documents_of(task)]
    for row, document in zip(kept, documents_of(task), strict=True):
        assert row.nats == pytest.approx(-world.LOG_PROBABILITIES[task](document.target, document.source), abs=1e-6)
        assert row.kind == "exact" and row.tokens > 5
    null = records["null"].header
    assert null.no_likelihood == "a floor is no model of the texts" and records["oracle"].header.no_likelihood is None
    assert store.read_likelihoods(store.cell_folder(folders[0], null.cell.id)) is None
    assert runner.run(plan(task, "oracle,null", folders[0], metric=("nll",)), quiet, ("score",)).exit_code == 0
    scores = {r.header.cell.system: {s.metric: s for s in r.scores} for r in store.read_run(folders[0])}
    expected = sum(row.nats or 0.0 for row in kept) / sum(row.tokens for row in kept)
    assert scores["oracle"]["nll"].value == pytest.approx(expected, abs=1e-6)
    entropies = [world.ENTROPIES[task](document.source) for document in documents_of(task)]
    assert scores["oracle"]["nll_entropy"].value == pytest.approx(
        sum(entropies) / sum(row.tokens for row in kept), abs=1e-6
    )
    assert scores["null"]["nll"].value is None
    assert scores["null"]["nll"].reason == "not run: a floor is no model of the texts"


def test_the_likelihood_of_the_oracle_is_on_average_the_entropy() -> None:
    """Over every target that a source can have, each as often as it comes."""
    oracle: Any = object.__new__(OracleSystem)
    (untold,) = oracle.likelihoods(world.detox("test", 1), [0])
    assert untold.nats is None and untold.reason == "the source does not say how likely its texts are"
    oracle.probability(World(WorldOptions()).log_probability("detox"))
    for document in world.detox("test", 3):
        targets = [plain(tokens) for tokens in language().targets(tokens_of(str(document.source)))]
        rows = oracle.likelihoods([replace(document, target=target) for target in targets], range(len(targets)))
        mean = math.fsum(math.exp(-row.nats) * row.nats for row in rows)
        assert math.fsum(math.exp(-row.nats) for row in rows) == pytest.approx(1.0, abs=1e-12)
        assert mean == pytest.approx(world.target_entropy(str(document.source)), rel=1e-12)
    (foreign,) = oracle.likelihoods([replace(document, target="no such sentence")], [0])
    assert foreign.nats is None and foreign.reason == "the language has no such text"


def test_the_lead_of_a_report_is_its_first_sentence(quiet: Any, tmp_path: Path) -> None:
    samples = done("summary", "lead", tmp_path / "run", quiet)["lead"].samples
    for sample, document in zip(samples, documents_of("summary"), strict=True):
        source = document.source
        assert source is not None and source.startswith(sample.text) and source[len(sample.text) :].count(".") >= 3


def test_an_oracle_needs_a_source_that_knows_its_own_law(quiet: Any, tmp_path: Path) -> None:
    refused = plan("detox", "oracle", tmp_path / "run", source="local")
    assert isinstance(refused.source, Local)
    with pytest.raises(UserError, match="--source world"):
        runner.run(refused, quiet)
    assert not (tmp_path / "run" / "cells").exists()
