"""Scores and calls of two runs of the outside package, held to their margins."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planning.gate_margins import Margin, Margins
from benchmarks.records import seals, store
from benchmarks.records.files import Appender
from benchmarks.tracking.gate import quality
from benchmarks.tracking.gate.gating import GateRequest, gate
from benchmarks.tracking.gate.verdict import GateFinding
from benchmarks.tracking.pairs import entries
from benchmarks.tracking.sides import read_side

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_runs import MadeRun, documents, per_text

PUBLISHED = Path(__file__).parents[4] / "reports" / "published" / "2026-11-28-h200"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def runs(copy_of_run: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path]:
    """A baseline and a copy of it, whose samples a test may rewrite."""
    words = ("run", "--task", "echo", "--setting", "toy:default")
    return copy_of_run(tmp_path / "a", *words), copy_of_run(tmp_path / "b", *words)


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


@pytest.mark.parametrize("order", [("gpt2", "mdlm"), ("mdlm", "gpt2")])
def test_the_margin_of_an_entry_is_its_own(order: tuple[str, str], tmp_path: Path) -> None:
    """No summary says the scale, so that the scores of an entry's texts do, whichever entry comes first."""
    scales = {"gpt2": 1.0, "mdlm": 40.0}
    values = np.random.default_rng(3).random(60)
    sides = []
    for name, less in (("a", 0.0), ("b", 0.001)):
        made = MadeRun(documents(60))
        for system in order:
            setting = f"s{order.index(system)}"  # the order of what is read
            made.add(system, setting, per_text("quality", [scales[system] * (value - less) for value in values]))
        sides.append(read_side(str(made.write(tmp_path / name))))
    result = gate(*sides, GateRequest(speed=False))
    margins = {one.entry.split()[0]: one.margin for one in result.findings if one.quantity == "quality"}
    assert margins == {"gpt2": -0.02, "mdlm": pytest.approx(-0.02 * 40 * float(values.mean()))}


def test_one_seed_beyond_the_scale_makes_the_margin_relative(tmp_path: Path) -> None:
    made = MadeRun(documents(60))
    for seed, scale in ((0, 1.0), (1, 2.0)):
        made.add("gpt2", "greedy", per_text("quality", [scale] * 59 + [0.5]), seed=seed)
    (entry,) = entries(read_side(str(made.write(tmp_path / "a"))))
    assert quality.margins_of(entry, Margins()) == {"quality": Margin(0.02, relative=True)}


def test_a_published_run_passes_against_itself() -> None:
    """Its floors' texts are not in the archive, and their corpus scores are what they were."""
    side = read_side(str(PUBLISHED))
    result = gate(side, side, GateRequest(speed=False))
    assert result.exit_code == 0, [one.sentence for one in result.findings if one.outcome != "pass"]
    (bleu,) = (one for one in result.findings if one.title == "bleu of retrieval")
    assert "a floor's texts follow from the documents" in bleu.why


def test_a_floor_that_changed_does_not_pass_unseen(tmp_path: Path) -> None:
    """A corpus score, of texts that nobody kept."""
    sides = []
    for name, value in (("a", 30.0), ("b", 20.0)):
        score = dataclasses.replace(per_text("bleu", [value] * 60), values=None)
        run = MadeRun(documents(60)).add("copy", "default", score).write(tmp_path / name)
        shutil.rmtree(run / "documents")
        sides.append(read_side(str(run)))
    result = gate(*sides, GateRequest(speed=False))
    assert [(one.quantity, one.outcome) for one in result.findings] == [("bleu", "cannot judge")]
