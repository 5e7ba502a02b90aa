"""Side B against side A, from records on disk: known shifts are found, none is found where there is none, and what must
not be compared is refused by its name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import COMMITS, SIGNATURE, MadeRun, documents, per_text

from baselines.contract import UserError
from benchmarks.tracking import training_noise
from benchmarks.tracking.comparison import compare
from benchmarks.tracking.schema import ComparedQuantity, RunComparison, to_json
from benchmarks.tracking.sides import read_side

N = 60


def scores(seed: int, shift: float = 0.0, n: int = N, noise: float = 0.05) -> list[float]:
    """Scores of texts that differ in difficulty, the same for every seed, and in luck, which is a seed's own."""
    hard = np.random.default_rng(7).normal(0.6, 0.1, n)
    return [float(v) for v in hard + np.random.default_rng(seed).normal(shift, noise, n)]


def compared(a: MadeRun, b: MadeRun, folder: Path, **more: Any) -> RunComparison:
    return compare(read_side(str(a.write(folder / "a"))), read_side(str(b.write(folder / "b"))), **more)


def row(comparison: RunComparison, title: str, entry: int = 0) -> ComparedQuantity:
    return next(one for one in comparison.entries[entry].quantities if one.title == title)


def pair(made: MadeRun) -> tuple[MadeRun, MadeRun]:
    return MadeRun(made.documents), MadeRun(made.documents)


@pytest.mark.parametrize(("shift", "outcome"), [(-0.08, "worse"), (0.08, "better"), (0.0, "cannot tell")])
def test_a_known_shift_is_found_and_none_where_there_is_none(
    made: MadeRun, tmp_path: Path, shift: float, outcome: str
) -> None:
    a, b = pair(made)
    found = compared(
        a.add("gpt2", "greedy", per_text("quality", scores(1))),
        b.add("gpt2", "greedy", per_text("quality", scores(2, shift)), header={"commit": COMMITS[1]}),
        tmp_path,
    )
    quality = row(found, "quality")
    assert quality.outcome == outcome
    assert quality.b - quality.a == pytest.approx(quality.change)
    assert quality.low <= shift <= quality.high
    assert (quality.p <= 0.05) == (outcome != "cannot tell")
    assert quality.p >= quality.p_raw and quality.level > 0.95  # calls are tested beside it
    assert 0.01 < quality.detectable < 0.08
    assert (quality.n, quality.covers) == (N, "texts")
    assert "commit “01234567” against “89abcdef”" in found.entries[0].differs


def test_the_direction_decides_what_is_worse(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    for run, seed, shift in ((a, 1, 0.0), (b, 2, 0.1)):
        values = scores(seed, shift)
        run.add(
            "gpt2", "greedy", per_text("loss", values, direction="lower"), per_text("length", values, direction="none")
        )
    found = compared(a, b, tmp_path)
    assert (row(found, "loss").outcome, row(found, "loss").moved) == ("worse", "up")
    assert (row(found, "length").outcome, row(found, "length").moved) == ("cannot tell", "up")


def test_texts_without_a_score_on_a_side_are_left_out_by_document(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    ours, theirs = [*scores(1)], [*scores(1, 0.1, noise=0.05)]
    first = per_text("quality", [None, *ours[1:]])
    second = per_text("quality", [*theirs[:-1], None])
    found = row(compared(a.add("gpt2", "greedy", first), b.add("gpt2", "greedy", second), tmp_path), "quality")
    assert found.n == N - 2
    assert found.change == pytest.approx(np.mean(np.array(theirs[1:-1]) - np.array(ours[1:-1])))


def test_a_run_against_itself_is_never_told_apart(made: MadeRun, tmp_path: Path) -> None:
    made.add("gpt2", "greedy", per_text("quality", scores(1)), latency=tuple(np.linspace(0.01, 0.012, 9)))
    made.add("copy", "default", per_text("quality", scores(2)))
    folder = str(made.write(tmp_path / "run"))
    found = compare(read_side(folder), read_side(folder))
    assert found.outcomes == {"better": 0, "worse": 0, "cannot tell": 3}
    assert [entry.name for entry in found.entries if not entry.quantities] == ["copy"]  # a floor that is what it was
    assert all("Both sides wrote the same texts." in entry.notes for entry in found.entries)


def test_more_tests_ask_more_of_each(made: MadeRun, tmp_path: Path) -> None:
    """The same difference, alone and among thirty others that are none."""
    alone, many = pair(made), pair(made)
    for a, b in (alone, many):
        a.add("gpt2", "greedy", per_text("quality", scores(1)))
        b.add("gpt2", "greedy", per_text("quality", scores(2, 0.05)))
    for number in range(30):
        many[0].add("mdlm", f"steps-{number}", per_text("quality", scores(2 * number + 10)))
        many[1].add("mdlm", f"steps-{number}", per_text("quality", scores(2 * number + 11)))
    single = compared(*alone, tmp_path / "alone", metrics=["quality"])
    table = compared(*many, tmp_path / "many", metrics=["quality"])
    one, other = row(single, "quality"), row(table, "quality")
    assert one.p == one.p_raw and one.level == pytest.approx(0.95)
    assert other.p == pytest.approx(31 * other.p_raw)
    assert other.high - other.low > one.high - one.low
    assert other.detectable > one.detectable
    assert sum(r.outcome != "cannot tell" for e in table.entries[1:] for r in e.quantities) == 0
    assert "31 tests in one table" in table.correction and "Holm" in table.correction


def test_tables_of_several_tasks_are_a_sweep(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    for task in ("detox", "story"):
        for run, seed in ((a, 1), (b, 2)):
            run.add("gpt2", "greedy", per_text("quality", scores(seed, 0.2 * seed)), cell={"task": task})
    found = compared(a, b, tmp_path, metrics=["quality"])
    assert "Benjamini" in found.correction
    assert {entry.panel for entry in found.entries} != {found.entries[0].panel}
    assert [row(found, "quality", place).p for place in (0, 1)] == pytest.approx(
        [row(found, "quality", place).p_raw for place in (0, 1)]
    )  # both tables are chosen, so the sweep costs nothing


REFUSED: dict[str, tuple[Callable[[MadeRun], MadeRun], str]] = {
    "documents": (
        lambda run: MadeRun(documents(N, "lamp")).add("gpt2", "greedy", per_text("quality", scores(2))),
        "test documents",
    ),
    "fewer documents": (
        lambda run: MadeRun(documents(N - 1)).add("gpt2", "greedy", per_text("quality", scores(2)[:-1])),
        "(60) against",
    ),
    "tokenizer": (
        lambda run: run.add(
            "gpt2", "greedy", per_text("quality", scores(2)),
            header={"tokenizer": {"name": "another", "sha256": "cd" * 32}},
        ),
        "tokenizer “one” (abababab) against “another” (cdcdcdcd)",
    ),
    "another system": (lambda run: run.add("mdlm", "a", per_text("q", scores(2))).add("sedd", "a"), "Only "),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_was_asked_otherwise_is_refused_as_a_whole(made: MadeRun, tmp_path: Path, kind: str) -> None:
    change, said = REFUSED[kind]
    a, b = pair(made)
    a.add("gpt2", "greedy", per_text("quality", scores(1)), header={"tokenizer": {"name": "one", "sha256": "ab" * 32}})
    with pytest.raises(UserError, match="can be compared") as refused:
        compared(a, change(b), tmp_path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (dataclasses.replace(SIGNATURE, version="2"), "judged unlike, version “1” against “2”"),
        (dataclasses.replace(SIGNATURE, evaluator="a judge 2"), "evaluator “a judge 1” against “a judge 2”"),
        (dataclasses.replace(SIGNATURE, weights="cd" * 32), "weights “none” against “cdcdcdcd”"),
        (
            dataclasses.replace(SIGNATURE, options={"form": "as written"}),
            "normalisation “through a tokenizer” against “as written”",
        ),
    ],
)
def test_a_metric_that_was_judged_unlike_is_refused_and_the_others_are_not(
    made: MadeRun, tmp_path: Path, signature: Any, said: str
) -> None:
    a, b = pair(made)
    a.add("gpt2", "greedy", per_text("quality", scores(1)), per_text("other", scores(3)))
    b.add("gpt2", "greedy", per_text("quality", scores(2), signature), per_text("other", scores(4)))
    [entry] = compared(a, b, tmp_path).entries
    assert [one.title for one in entry.quantities] == ["other", "calls"]
    assert any(said in reason and reason.startswith("quality") for reason in entry.refused)


def test_a_changed_training_set_is_named_and_compared(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    a.add("gpt2", "greedy", per_text("quality", scores(1)))
    about = {"count": 9, "sha256": "cd" * 32}
    b.add("gpt2", "greedy", per_text("quality", scores(2)), cell={"recipe": {"width": 96}}, header={})
    folders = a.write(tmp_path / "a"), b.write(tmp_path / "b")
    side = read_side(str(folders[1]))
    cells = tuple(
        dataclasses.replace(
            cell,
            record=dataclasses.replace(
                cell.record,
                header=dataclasses.replace(cell.header, documents={**cell.header.documents, "train": about}),
            ),
        )
        for cell in side.cells
    )
    [entry] = compare(read_side(str(folders[0])), dataclasses.replace(side, cells=cells)).entries
    assert "train texts “abababab” against “cdcdcdcd”" in entry.differs
    assert "recipe.width “64” against “96”" in entry.differs
    assert entry.quantities


def test_metrics_on_one_side_and_scores_that_are_none_are_said(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    nothing = per_text("fluency", [None] * N, reason="missing evaluator: no model here; add it")
    a.add("gpt2", "greedy", per_text("quality", scores(1)), per_text("old", scores(1)), nothing)
    half = dataclasses.replace(nothing, metric="half")
    b.add("gpt2", "greedy", per_text("quality", scores(2)), per_text("new", scores(1)), nothing, half)
    a.cells[0].scores += (per_text("half", scores(1)),)
    [entry] = compared(a, b, tmp_path).entries
    assert set(entry.refused) == {
        "old: judged only on side A",
        "new: judged only on side B",
        "fluency: no value on either side",
        "half: side B has no value (missing evaluator: no model here; add it)",
    }


def test_one_seed_says_what_training_noise_was_and_several_seeds_cover_it(made: MadeRun, tmp_path: Path) -> None:
    """Trainings that differ by more than the shift: texts alone call it worse, seeds do not."""
    one, several = pair(made), pair(made)
    apart = (0.0, 0.09, -0.09)
    for place, run in enumerate(one):
        run.add("gpt2", "greedy", per_text("quality", scores(place, -0.07 * place)))
    for place, run in enumerate(several):
        for seed in range(3):
            values = scores(10 * place + seed, -0.07 * place + apart[seed])
            made_by = {"commit": COMMITS[place], "dirty": False, "packages": {}, "device": {}}
            run.add("gpt2", "greedy", per_text("quality", values), seed=seed, header={"trained_with": made_by})
    alone, together = compared(*one, tmp_path / "one"), compared(*several, tmp_path / "several")
    assert (row(alone, "quality").outcome, row(alone, "quality").covers) == ("worse", "texts")
    [note] = alone.entries[0].notes
    assert "not covered" in note and "--seeds 3" in note and "exact_j" not in note
    assert (row(together, "quality").outcome, row(together, "quality").covers) == ("cannot tell", "texts and seeds")
    assert together.entries[0].notes == ()
    assert together.entries[0].seeds_a == together.entries[0].seeds_b == (0, 1, 2)
    assert row(together, "quality").detectable > 2 * row(alone, "quality").detectable


def test_settings_of_the_same_trainings_share_their_luck(made: MadeRun, tmp_path: Path) -> None:
    """Two settings of three trainings: what a training is worth moves both, and is no noise of their difference."""
    for setting, shift in (("greedy", 0.0), ("sample", -0.05)):
        for seed, luck in enumerate((0.0, 0.2, -0.2)):
            made.add("gpt2", setting, per_text("quality", scores(seed, shift + luck, noise=0.01)), seed=seed)
    folder = made.write(tmp_path / "run")
    found = compare(read_side(f"{folder}:gpt2/greedy"), read_side(f"{folder}:gpt2/sample"))
    assert (row(found, "quality").outcome, row(found, "quality").covers) == ("worse", "texts and seeds")
    assert found.entries[0].name == "gpt2 sample against gpt2 greedy"


DEFAULT = {"budget": "3e+12flops"}


@pytest.mark.parametrize(
    ("system", "setting", "cell", "said"),
    [
        ("gpt2", "greedy", DEFAULT, "exact_j of this entry had a standard deviation of 0.013"),
        ("gpt2", "greedy", {"budget": "2steps"}, "of 15 entries, of which this is none"),
        ("gpt2", "greedy", {**DEFAULT, "preset": "small"}, "of 15 entries, of which this is none"),
        ("gpt2", "greedy", {**DEFAULT, "source": "local"}, "of 15 entries, of which this is none"),
        ("gpt2", "greedy", {**DEFAULT, "task": "story"}, "of 15 entries, of which this is none"),
        ("sedd", "steps-8", DEFAULT, "standard deviations of 0.010 to 0.054"),
    ],
)
def test_training_noise_is_that_of_the_very_entry_or_given_as_a_range(
    made: MadeRun, tmp_path: Path, system: str, setting: str, cell: dict[str, str], said: str
) -> None:
    a, b = pair(made)
    for seed, run in enumerate((a, b)):
        run.add(system, setting, per_text("exact_j", scores(seed)), cell=cell)
    [note] = compared(a, b, tmp_path).entries[0].notes
    assert said in note and "three training seeds" in note


def test_training_noise_was_measured_by_the_default_run() -> None:
    from baselines import registry

    measured = {noise.system for noise in training_noise.MEASURED}
    assert {str(registry.find(name).presets["nano"].budget) for name in measured} == {DEFAULT["budget"]}


def test_other_seeds_are_named_and_a_floor_of_other_seeds_may_be_what_it_was(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    for run, seed in ((a, 0), (b, 3)):
        run.add("gpt2", "greedy", per_text("quality", scores(seed)), seed=seed)
        run.add("copy", "default", per_text("quality", scores(9)), seed=seed)
    found = compared(a, b, tmp_path)
    assert "seeds “0” against “3”" in found.entries[0].differs
    assert [len(entry.quantities) for entry in found.entries] == [2, 0]


@pytest.mark.parametrize("count", [1, 2])
def test_of_one_or_two_documents_nothing_can_be_told(tmp_path: Path, count: int) -> None:
    a, b = MadeRun(documents(count)), MadeRun(documents(count))
    a.add("gpt2", "greedy", per_text("quality", [0.2] * count))
    b.add("gpt2", "greedy", per_text("quality", [0.9] * count))
    found = row(compared(a, b, tmp_path), "quality")
    assert (found.outcome, found.n, found.change) == ("cannot tell", count, pytest.approx(0.7))
    assert (found.reason is None) == (count > 1)


def test_only_what_is_asked_for_is_compared(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    for run, seed in ((a, 1), (b, 2)):
        run.add(
            "gpt2", "greedy", per_text("quality", scores(seed)), per_text("other", scores(seed)),
            latency=(0.01, 0.011, 0.012, 0.011),
        )  # fmt: skip
    found = compared(a, b, tmp_path, metrics=["quality", "latency"])
    assert [one.title for one in found.entries[0].quantities] == ["quality", "latency"]
    with pytest.raises(UserError, match=r"did you mean quality"):
        compare(read_side(str(tmp_path / "a")), read_side(str(tmp_path / "b")), metrics=["qualty"])


def test_the_json_has_a_schema_that_stays(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    for run, seed in ((a, 1), (b, 2)):
        run.add("gpt2", "greedy", per_text("quality", scores(seed)), latency=(0.01, 0.011, 0.012, 0.011))
    told = to_json(compared(a, b, tmp_path))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["schema"] == 1
    assert list(told) == ["schema", "a", "b", "entries", "refused", "correction", "notes", "outcomes"]
    assert list(told["a"]) == ["text", "folders", "commits", "dirty", "machines", "cells"]
    [entry] = told["entries"]
    assert list(entry) == [
        "name", "task", "source", "documents", "cells_a", "cells_b", "seeds_a", "seeds_b", "differs", "refused",
        "quantities", "notes", "title",
    ]  # fmt: skip
    assert [list(one) for one in entry["quantities"]] == [
        [
            "quantity", "kind", "unit", "direction", "size", "a", "b", "scale", "change", "low", "high", "level", "p",
            "p_raw", "outcome", "moved", "detectable", "n", "covers", "reason", "notes", "declared",
        ]
    ] * 3  # fmt: skip
    assert sum(told["outcomes"].values()) == 3


def test_a_metric_is_called_what_its_records_declare(made: MadeRun, tmp_path: Path) -> None:
    a, b = pair(made)
    older, mine = per_text("my_score", scores(1)), per_text("my_score", scores(2), title="My Score, v2")
    found = compared(
        a.add("gpt2", "greedy", older, older_of(older)), b.add("gpt2", "greedy", mine, older_of(mine)), tmp_path
    )
    assert row(found, "my_score").shown == "My Score, v2"
    assert row(found, "other_score").shown == "other score"  # by the rule
    written = to_json(found)["entries"][0]["quantities"]
    assert {one["quantity"]: one["declared"] for one in written if one["kind"] == "quality"} == {
        "my_score": "My Score, v2", "other_score": "",
    }  # fmt: skip


def older_of(score: Any) -> Any:
    """The same score by another metric, of a record without titles."""
    named = dataclasses.replace(score.signature, metric="other_score")
    return dataclasses.replace(score, metric="other_score", signature=named, title="")
