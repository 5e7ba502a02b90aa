"""The oracle and the floors through the runner, on every task of the world."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Document, UserError
from benchmarks import metrics
from benchmarks.data.built_in import World, WorldOptions
from benchmarks.data.local import Local
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
pytestmark = pytest.mark.usefixtures("steady")


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk: no test here is about power cuts."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def plan(task: str, systems: str, folder: Path, **flags: str) -> Plan:
    return make(gather({"task": task, "system": systems, "out": str(folder), **flags}, DATA), "cpu")


def documents_of(task: str) -> Sequence[Document]:
    return World(WorldOptions(test=TESTED)).load(task, "test")


def done(task: str, systems: str, folder: Path, quiet: Any) -> dict[str, Any]:
    assert runner.run(plan(task, systems, folder), quiet, ("fit", "generate")).exit_code == 0
    return {record.header.cell.system: record for record in store.read_run(folder)}


@pytest.mark.parametrize("task", list(CEILINGS))
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
