"""`gate --plan` of scores: what says how they are spread, corpus scores too, and plain sentences where nothing does."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_runs import MadeRun, documents, per_text
from test_corpus import judged

from benchmarks.planning.gate_margins import Margins
from benchmarks.records import store
from benchmarks.tracking import corpus
from benchmarks.tracking.gate import planning
from benchmarks.tracking.gate.interleaving import Design
from benchmarks.tracking.judging import Judge
from benchmarks.tracking.pairs import EntryPair, entries
from benchmarks.tracking.sides import read_side


def plan(run: Path) -> dict[str, str]:
    """What is said of each metric."""
    lines = planning.plan(read_side(str(run)), None, Margins(speed=None), Design(), None)
    return {line.split()[0]: line.strip() for line in lines if " of gpt2 greedy: " in line}


def without_intervals(run: Path) -> Path:
    for folder in (run / "cells").iterdir():
        bare = [dataclasses.replace(score, low=None, high=None, level=None) for score in store.read_scores(folder)]
        store.write_scores(folder, bare)
    return run


def test_a_corpus_score_is_planned_by_drawing_its_documents_again(tmp_path: Path) -> None:
    said = plan(without_intervals(judged(tmp_path / "a", 0.1, 1, ("bleu",))))["bleu"]
    assert "which show " in said and said.endswith("by the baseline's documents drawn again, at most)")


def test_two_scores_that_have_nothing_in_common_vary_twice_as_much_as_one(tmp_path: Path) -> None:
    """Words are lost at random in both runs, so that little of what makes a text hard is shared."""
    (a,), (b,) = (
        entries(read_side(str(judged(tmp_path / name, 0.1, seed, ("bleu",))))) for seed, name in enumerate("ab")
    )
    both = corpus.variation(EntryPair(a, b, ()), "bleu", Judge())
    alone = [corpus.variation_alone(entry, "bleu", Judge()).variance for entry in (a, b)]
    assert both.variance == pytest.approx(sum(alone), rel=0.35)


def test_two_trainings_say_how_a_corpus_score_differs(tmp_path: Path) -> None:
    runs = [judged(tmp_path / name, 0.1, seed, ("bleu",)) for seed, name in enumerate("ab")]
    (other,) = entries(read_side(str(runs[1])))
    (one,) = entries(read_side(str(runs[0])))
    both = dataclasses.replace(one, cells=(*one.cells, *other.cells))
    side = dataclasses.replace(read_side(str(runs[0])), cells=both.cells)
    lines = list(planning.plan(side, None, Margins(speed=None), Design(), None))
    assert any(line.startswith("  bleu of ") and "by two trainings of the baseline)" in line for line in lines), lines


def test_what_nothing_says_is_said_in_words(tmp_path: Path) -> None:
    run = without_intervals(judged(tmp_path / "a", 0.1, 1, ("bleu",)))
    for folder in (run / "cells").iterdir():
        (folder / store.SAMPLES).unlink()
    assert plan(run)["bleu"].startswith(
        "bleu of gpt2 greedy: not known, for it has no score for each text, and its texts or the test documents are "
    )
    same = MadeRun(documents(60)).add("gpt2", "greedy", per_text("quality", [0.5] * 60)).write(tmp_path / "b")
    assert plan(same)["quality"] == (
        "quality of gpt2 greedy: not known, for all texts of the baseline have the same score, which does not say how "
        "far others differ"
    )
    values = np.linspace(0, 1, 60)
    made = MadeRun(documents(60)).add("gpt2", "greedy", per_text("quality", list(values))).write(tmp_path / "c")
    assert plan(made)["quality"].endswith("by the baseline's texts, at most)")


def test_a_baseline_that_was_hardly_timed_says_so(tmp_path: Path) -> None:
    made = MadeRun(documents(60)).add("gpt2", "greedy", per_text("quality", [0.5, 1] * 30), latency=(0.1, 0.2))
    side = read_side(str(made.write(tmp_path / "a")))
    lines = list(planning.plan(side, None, Margins(), Design(), None))
    assert (
        "  latency of gpt2 greedy: not known, for the baseline was timed too few times, and `doctor --timing` was not "
        "run here"
    ) in lines
