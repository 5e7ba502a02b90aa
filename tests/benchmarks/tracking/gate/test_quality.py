"""Scores and calls of two runs of the outside package, held to their margins."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.planning.gate_margins import Margin, Margins
from benchmarks.records import seals, store
from benchmarks.records.files import Appender
from benchmarks.tracking.gate.gating import GateRequest, gate
from benchmarks.tracking.gate.verdict import GateFinding
from benchmarks.tracking.sides import read_side

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def runs(command: Command, steady: None, tmp_path: Path) -> tuple[Path, Path]:
    """A baseline and a copy of it, whose samples a test may rewrite."""
    done = command("run", "--task", "echo", "--out", str(tmp_path / "a"), "--setting", "toy:default")
    assert done.returncode == 0, done.stderr
    return tmp_path / "a", shutil.copytree(tmp_path / "a", tmp_path / "b")


def rewritten(run: Path, calls: Callable[[int, int], int] = lambda place, count: count, text: str = "") -> None:
    """Give the samples of a run's one cell other calls and texts, and seal them."""
    (folder,) = (run / "cells").iterdir()
    rows = [
        dataclasses.replace(s, text=s.text + text, calls={name: calls(place, n) for name, n in s.calls.items()})
        for place, s in enumerate(store.read_samples(folder))
    ]
    scores, header = store.read_scores(folder), store.read_header(folder)
    (folder / store.SAMPLES).unlink()
    with Appender(folder / store.SAMPLES) as appender:
        appender.append(map(seals.sample_row, rows))
    assert header is not None
    store.write_header(folder, dataclasses.replace(header, files=seals.file_hashes(folder, store.SEALED)))
    store.write_scores(folder, scores)


def judged(runs: tuple[Path, Path], margins: Margins = Margins()) -> dict[str, GateFinding]:  # noqa: B008
    a, b = runs
    result = gate(read_side(str(a)), read_side(str(b)), GateRequest(margins, speed=False))
    return {finding.quantity: finding for finding in result.findings}


def test_calls_that_every_text_took_more_are_no_matter_of_chance(runs: tuple[Path, Path]) -> None:
    rewritten(runs[1], lambda place, count: count + 1)
    found = judged(runs)["calls"]
    assert (found.outcome, found.baseline, found.now, found.change) == ("regression", 3.0, 4.0, 1.0)
    assert judged(runs, Margins(calls=Margin(0.5, relative=True)))["calls"].outcome == "pass"
    assert "calls" not in judged(runs, Margins(calls=None))


def test_fewer_calls_pass(runs: tuple[Path, Path]) -> None:
    rewritten(runs[1], lambda place, count: count - 1)
    assert judged(runs)["calls"].outcome == "pass"


def test_texts_of_one_batch_say_no_more_of_calls_than_one(runs: tuple[Path, Path]) -> None:
    """All 23 texts are one batch: if some took more, one observation cannot tell whether that is chance."""
    rewritten(runs[1], lambda place, count: count + place % 2)
    found = judged(runs)["calls"]
    assert found.outcome == "cannot judge" and found.why.startswith("1 batches do not rule out")


def test_the_same_scores_of_other_texts_are_no_proof(runs: tuple[Path, Path]) -> None:
    assert judged(runs)["copy_rate"].outcome == "pass"
    rewritten(runs[1], text=" .")
    found = judged(runs)["copy_rate"]
    assert found.outcome == "cannot judge" and "23 texts do not rule out a loss of up to 0.1" in found.why


def test_a_metric_that_is_not_gated_is_not_looked_at(runs: tuple[Path, Path]) -> None:
    assert judged(runs, Margins(others=False)).keys() == {"calls"}
    assert judged(runs, Margins({"copy_rate": None})).keys() == {"calls"}


def test_a_metric_that_the_run_was_not_scored_by_cannot_be_judged(runs: tuple[Path, Path]) -> None:
    (folder,) = (runs[1] / "cells").iterdir()
    store.write_scores(folder, [score for score in store.read_scores(folder) if score.metric != "copy_rate"])
    found = judged(runs)["copy_rate"]
    assert found.outcome == "cannot judge"
    assert found.why == "the baseline has it, and this run was not scored by it"
