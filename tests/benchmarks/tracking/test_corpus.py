"""Corpus scores: how their difference varies is held against many corpora drawn from one language, and against BLEU and
distinct n-grams of real texts."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
from made_runs import MadeRun, documents, per_text
from scipy.special import stdtrit

from benchmarks.metrics import Measured
from benchmarks.metrics.core import selection
from benchmarks.metrics.diversity import jackknife
from benchmarks.records import store
from benchmarks.running import scoring
from benchmarks.tracking import corpus
from benchmarks.tracking.comparison import compare
from benchmarks.tracking.schema import ComparedQuantity, RunComparison
from benchmarks.tracking.sides import read_side

REPEATS, LEAST = 400, 0.92  # 0.95 less three standard errors


def held(differences: list[float], variations: list[corpus.Variation], truth: float) -> float:
    margins = [float(stdtrit(each.freedom, 0.975)) * each.variance**0.5 for each in variations]
    return float(np.mean([abs(d - truth) <= margin for d, margin in zip(differences, margins, strict=True)]))


def share(sums: np.ndarray) -> np.ndarray:
    return sums[:, 0] / sums[:, 1]


def counts(generator: np.random.Generator, hard: np.ndarray, skill: float) -> Measured:
    """Hits among words of texts whose difficulty both systems share."""
    words = generator.integers(3, 15, len(hard))
    rows = np.stack([generator.binomial(words, np.clip(skill + hard, 0.01, 0.99)), words], axis=1).astype(float)
    return Measured(total=float(share(rows.sum(axis=0, keepdims=True))[0]), rows=rows, statistic=share)


def test_documents_drawn_for_both_sides_hold_the_difference_of_two_ratios() -> None:
    generator = np.random.default_rng(1)
    differences, variations = [], []
    for _ in range(REPEATS):
        hard = generator.normal(0, 0.15, 60)
        a, b = counts(generator, hard, 0.5), counts(generator, hard, 0.55)
        differences.append(b.total - a.total)
        variations.append(corpus.drawn([a], [b], 60))
    assert held(differences, variations, 0.05) >= LEAST
    assert np.mean([each.variance for each in variations]) == pytest.approx(np.var(differences), rel=0.15)
    unpaired = [
        corpus.drawn(
            [counts(generator, generator.normal(0, 0.15, 60), 0.5)],
            [counts(generator, generator.normal(0, 0.15, 60), 0.55)],
            60,
        )
        for _ in range(40)
    ]
    assert np.mean([v.variance for v in unpaired]) > 1.5 * np.mean([v.variance for v in variations])


def test_texts_without_a_row_count_for_nothing() -> None:
    generator = np.random.default_rng(2)
    whole = counts(generator, np.zeros(40), 0.5)
    some = dataclasses.replace(whole, rows=whole.rows[10:], places=range(10, 40))
    zeros = whole.rows.copy()
    zeros[:10] = 0
    assert corpus.drawn([whole], [some], 40) == corpus.drawn([whole], [dataclasses.replace(whole, rows=zeros)], 40)


def test_leaving_out_documents_of_both_sides_holds_the_difference_of_distinct_shares() -> None:
    """The truth is that of as many texts as are there, for the score depends on their number."""
    draw = random.Random(3)

    def texts(size: int) -> list[list[str]]:
        return [[f"w{int(draw.paretovariate(0.5)) % size}" for _ in range(8)] for _ in range(60)]

    def measured(size: int) -> Measured:
        value, without = jackknife(texts(size), (1,))
        return Measured(total=value, left_out=tuple(without))

    pairs = [(measured(60), measured(90)) for _ in range(REPEATS)]
    differences = [b.total - a.total for a, b in pairs]
    variations = [corpus.jackknifed([a], [b]) for a, b in pairs]
    assert held(differences, variations, float(np.mean(differences))) >= LEAST


def test_groups_and_the_metrics_own_seeds_hold_a_difference_together() -> None:
    """A score whose seeds move it: groups alone, whose limits would be too near, are widened by them."""
    generator = np.random.default_rng(4)

    def measured(value: float, shared: np.ndarray) -> Measured:
        groups = value + shared + generator.normal(0, 0.02, 5) + generator.normal(0, 0.03, 5)
        repeats = value + shared.mean() + generator.normal(0, 0.03, 5)
        return Measured(total=float(repeats.mean()), groups=tuple(groups), repeats=tuple(repeats))

    differences, variations = [], []
    for _ in range(REPEATS):
        shared = generator.normal(0, 0.1, 5)
        a, b = measured(0.5, shared), measured(0.6, shared)
        differences.append(b.total - a.total)
        variations.append(corpus.grouped([a], [b]))
    assert held(differences, variations, 0.1) >= LEAST
    assert variations[0].freedom == 4


def test_mauve_gives_its_groups_and_seeds_and_is_told_apart_by_them() -> None:
    """Features in place of a language model's: two systems as near to the references, and one that is far."""
    mauve = pytest.importorskip("benchmarks.metrics.mauve")
    pytest.importorskip("mauve")  # a library of the extra `eval`
    generator = np.random.default_rng(5)
    references = generator.normal(size=(260, 6))

    def measured(shift: float) -> Measured:
        found = mauve.spread(references + generator.normal(shift, 0.5, references.shape), references)
        assert len(found.by_seed) == mauve.SEEDS and len(found.by_subset) == mauve.GROUPS
        total = float(np.mean(found.by_seed))
        assert found.interval.low <= total <= found.interval.high
        return Measured(total=total, groups=found.by_subset, repeats=found.by_seed)

    near, other, far = measured(0), measured(0), measured(1.2)
    level, lost = corpus.grouped([near], [other]), corpus.grouped([near], [far])
    assert held([other.total - near.total], [level], 0.0) == 1
    assert far.total < near.total and held([far.total - near.total], [lost], 0.0) == 0


# From here on real evaluators judge real texts.

METRICS = ("bleu", "chrf", "diversity", "distinct_2")
COUNT = 64


def words(number: int, broken: float, seed: int) -> str:
    """The target of a document, some of whose words are lost to a system."""
    draw = random.Random(1000 * seed + number)
    return " ".join(
        word if draw.random() > broken else "thing"
        for word in f"the cup number {number} fell down the old stairs".split()
    )


def judged(folder: Path, broken: float, seed: int, metrics: tuple[str, ...] = METRICS) -> Path:
    run = MadeRun(
        [
            dataclasses.replace(d, target=f"{d.target} the old stairs", references=(f"{d.target} the old stairs",))
            for d in documents(COUNT)
        ]
    )
    run.add("gpt2", "greedy", texts=tuple(words(n, broken, seed) for n in range(COUNT)))
    run.write(folder)
    [header] = store.read_headers(folder)
    asked = selection.select(metrics, ())
    scoring.score(folder, store.cell_folder(folder, header.cell.id), header, asked)
    return folder


def rows(found: RunComparison) -> dict[str, ComparedQuantity]:
    return {one.title: one for one in found.entries[0].quantities}


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path, Path]:
    return judged(tmp_path / "a", 0.1, 1), judged(tmp_path / "b", 0.1, 2), judged(tmp_path / "c", 0.5, 3)


def test_corpus_scores_of_real_texts_are_told_apart_where_they_are(sides: tuple[Path, Path, Path]) -> None:
    same, other, worse = map(read_side, map(str, sides))
    level, lost = rows(compare(same, other)), rows(compare(same, worse))
    assert [level[name].outcome for name in ("bleu", "chrf")] == ["cannot tell", "cannot tell"]
    assert [lost[name].outcome for name in ("bleu", "chrf")] == ["worse", "worse"]
    assert lost["diversity"].moved == "down" and lost["distinct_2"].moved == "down"
    for name in METRICS:
        assert lost[name].reason is None and lost[name].covers == "texts"
        assert lost[name].low < lost[name].change < lost[name].high
        assert lost[name].detectable > 0


def test_an_evaluator_that_says_nothing_of_its_spread_judges_groups_of_documents(tmp_path: Path) -> None:
    metric = "legacy_diversity"
    a, b = (judged(tmp_path / name, broken, 1, (metric,)) for name, broken in (("a", 0.1), ("b", 0.6)))
    found = rows(compare(read_side(str(a)), read_side(str(b)), metrics=[metric]))[metric]
    assert found.reason is None and found.evidence.freedom == 1  # sixty-four documents make two groups of thirty
    assert found.low <= 0 <= found.high  # of which no more is known


def test_a_corpus_score_that_is_the_same_whatever_is_drawn_takes_no_test(tmp_path: Path) -> None:
    a, b = (judged(tmp_path / name, 0.1 + 0.2 * seed, seed, ("bleu",)) for seed, name in enumerate("ab"))
    found = compare(read_side(str(a)), read_side(str(b)))
    copies = rows(found)["bleu_copy"]  # of the sources, which no system writes
    assert copies.a == copies.b and copies.p is None and "the same on both sides" in copies.reason
    assert found.correction.startswith("2 tests")  # bleu and calls


def test_texts_that_were_not_published_cannot_be_resampled(sides: tuple[Path, Path, Path]) -> None:
    for folder in (sides[0] / "cells").iterdir():
        (folder / store.SAMPLES).unlink()
    found = rows(compare(read_side(str(sides[0])), read_side(str(sides[1]))))
    assert found["bleu"].outcome == "cannot tell"
    assert found["bleu"].reason == (
        f"it has no score for each text, and its texts or the test documents are not in the records of {sides[0]}"
    )
    assert found["bleu"].a is not None and found["bleu"].change is None


def test_a_score_that_would_be_another_here_cannot_be_told(sides: tuple[Path, Path, Path]) -> None:
    [folder] = (sides[0] / "cells").iterdir()
    stored = store.read_scores(folder)
    changed = [dataclasses.replace(s, value=s.value + 3) if s.metric == "bleu" else s for s in stored]
    store.write_scores(folder, changed)
    found = rows(compare(read_side(str(sides[0])), read_side(str(sides[1]))))
    assert "when judged here" in found["bleu"].reason
    assert found["chrf"].reason is None


def test_few_documents_and_unknown_metrics_are_said(tmp_path: Path) -> None:
    few = [MadeRun(documents(12)), MadeRun(documents(12))]
    corpus_score = dataclasses.replace(per_text("strange", [0.5] * 12), values=None)
    for run, name in zip(few, "ab", strict=True):
        run.add("gpt2", "greedy", per_text("quality", [0.5] * 12), corpus_score).write(tmp_path / name)
    found = rows(compare(read_side(str(tmp_path / "a")), read_side(str(tmp_path / "b"))))
    assert found["strange"].reason.endswith("no metric of this name is known here")
