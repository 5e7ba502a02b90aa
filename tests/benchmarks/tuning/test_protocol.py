"""Equal trials for all, judged on documents of no run, the best mean chosen; what is there is not tried again."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.cli.main import main
from benchmarks.data import source as sources
from benchmarks.planning.run_config import Choices
from benchmarks.tasks import find
from benchmarks.tuning import judge, protocol, table, trial
from benchmarks.tuning.protocol import AS_IT_STANDS, Candidate, Tuned
from benchmarks.tuning.space import TrialGrid
from benchmarks.tuning.trial import Trial, TrialResult
from cosmos.io import seals

CHOICES = Choices(task="detox", device="cpu", changes={"data.train": 40, "budget": "2steps"})
GRID = TrialGrid((1e-3, 2e-3), (8,), (0.0,), finalists=1, seeds=3)


class Now:
    """Does at once what a pool of processes would do."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores, self.asked = scores, list[tuple[str, str, int]]()

    def submit(self, _: Any, asked: Trial) -> Future[TrialResult]:
        self.asked.append((asked.system, asked.candidate, asked.seed))
        future: Future[TrialResult] = Future()
        future.set_result(result(asked.candidate, self.scores[asked.candidate] + asked.seed / 100, asked.seed))
        return future


def result(candidate: str, value: float | None, seed: int = 0, system: str = "gpt2", asked: str = "a") -> TrialResult:
    return TrialResult(
        asked=asked, system=system, candidate=candidate, recipe={"of": candidate}, seed=seed, value=value,
        reason=None if value is not None else "diverged", n=4, signature="s", validation_loss=1.0, steps=2, seconds=1.0,
    )  # fmt: skip


def test_the_best_and_the_recipe_as_it_stands_are_trained_with_all_seeds(tmp_path: Path) -> None:
    search = protocol._Search(trial.judged_data(CHOICES, 4), GRID, "exact_j", 4, tmp_path, lambda _: None)
    ahead = {system: search.distinct(system) for system in ("gpt2", "mdlm")}
    pool: Any = Now({AS_IT_STANDS: 0.1, "lr0.001-batch8-dropout0": 0.3, "lr0.002-batch8-dropout0": 0.2})
    search.run(pool, ahead)
    for system, candidates in ahead.items():
        tried = [(name, seed) for asked, name, seed in pool.asked if asked == system]
        best = max((c for c in candidates if c.name != AS_IT_STANDS), key=lambda c: c.values[0])
        assert tried[: len(candidates)] == [(candidate.name, 0) for candidate in candidates]
        assert sorted(tried[len(candidates) :]) == sorted(
            (c, seed) for c in (AS_IT_STANDS, best.name) for seed in (1, 2)
        )
        assert Tuned(system, candidates).chosen is best


def test_trials_of_all_systems_come_in_turn(tmp_path: Path) -> None:
    search = protocol._Search(trial.judged_data(CHOICES, 4), GRID, "exact_j", 4, tmp_path, lambda _: None)
    ahead = {system: search.distinct(system) for system in ("gpt2", "mdlm")}
    pool: Any = Now(dict.fromkeys((AS_IT_STANDS, "lr0.001-batch8-dropout0", "lr0.002-batch8-dropout0"), 0.1))
    search.run(pool, ahead)
    first = [(system, name) for system, name, seed in pool.asked if seed == 0]
    turns = [[system for system, name in first if name == candidate.name] for candidate in ahead["mdlm"]]
    assert [system for system, _ in first[:4]] == ["gpt2", "mdlm"] * 2
    assert turns == [["gpt2", "mdlm"], ["gpt2", "mdlm"], ["mdlm"]]


def test_a_key_of_one_system_is_asked_of_that_one_alone(tmp_path: Path) -> None:
    keys = {"gpt2.recipe.layers": 1, "mdlm.recipe.source_layers": 1}
    choices = dataclasses.replace(CHOICES, system=("gpt2", "mdlm"), changes={**CHOICES.changes, **keys})
    search = protocol._Search(trial.judged_data(choices, 4), GRID, "exact_j", 4, tmp_path, lambda _: None)
    recipes = {system: search.cell(system, Candidate(AS_IT_STANDS)).cell.recipe for system in ("gpt2", "mdlm")}
    assert (recipes["gpt2"]["layers"], recipes["mdlm"]["source_layers"]) == (1, 1)
    wrong = dataclasses.replace(search.choices, changes={**search.choices.changes, "mdlm.recipe.layer": 1})
    search = dataclasses.replace(search, choices=wrong)
    with pytest.raises(UserError, match=r"mdlm\.recipe\.layer"):
        search.distinct("mdlm")


def test_one_recipe_is_tried_once(tmp_path: Path) -> None:
    search = protocol._Search(trial.judged_data(CHOICES, 4), GRID, "exact_j", 4, tmp_path, lambda _: None)
    candidates, distinct = search.candidates("gpt2"), search.distinct("gpt2")
    assert (len(candidates), len(distinct)) == (3, 2)  # as it stands at nano, gpt2 is a point of this grid
    assert distinct[0].name == AS_IT_STANDS


def test_judged_are_documents_of_another_seed_that_no_system_is_shown() -> None:
    choices = trial.judged_data(CHOICES, 5)
    assert choices.changes["data.seed"] == trial.DATA_SEED
    world = sources.find("world")
    source = world(world.Options(seed=1, validation=choices.changes["data.validation"]))
    shown, judged = trial.documents(source, "detox", 5)
    assert len(shown) == trial.VALIDATION_DOCUMENTS
    assert len(judged) == 5
    assert not {d.source for d in shown} & {d.source for d in judged}
    assert trial.judged_data(dataclasses.replace(CHOICES, changes={"data.seed": 7}), 5).changes["data.seed"] == 7


def test_a_split_without_other_documents_is_refused() -> None:
    world = sources.find("world")
    with pytest.raises(UserError, match="tuning needs more than 256"):
        trial.documents(world(world.Options(validation=200)), "detox", 5)


def test_the_judge_is_the_first_headline_that_works_here() -> None:
    assert judge.choose(find("detox"), "world") == "exact_j"
    assert judge.choose(find("detox"), "world", "chrf") == "chrf"
    with pytest.raises(UserError, match="more is not better"):
        judge.choose(find("detox"), "world", "length")


def test_of_candidates_with_all_seeds_the_best_mean_is_chosen() -> None:
    lucky = Candidate("lucky", {}, {0: result("lucky", 0.9)})
    steady = Candidate("steady", {}, {seed: result("steady", 0.6, seed) for seed in range(3)})
    stands = Candidate(AS_IT_STANDS, {}, {seed: result(AS_IT_STANDS, 0.5, seed) for seed in range(3)})
    broken = Candidate("broken", {}, {0: result("broken", None)})
    assert Tuned("gpt2", [stands, lucky, steady, broken]).chosen is steady
    assert Tuned("gpt2", [Candidate(AS_IT_STANDS, {}, {0: result(AS_IT_STANDS, 0.5)}), lucky, broken]).chosen is lucky


def test_what_is_stored_is_read_back_and_told(tmp_path: Path) -> None:
    kept = [result(AS_IT_STANDS, 0.5), result("a", 0.25), result("a", 0.75, 1), result("b", None)]
    for number, one in enumerate([*kept, result("c", 0.9, asked="another metric")]):
        seals.write_sealed(tmp_path / f"{number}.json", dict(one))
    (tuned,) = protocol.stored(tmp_path, {"a"})
    assert [candidate.name for candidate in tuned.candidates] == [AS_IT_STANDS, "a", "b"]
    assert "| gpt2 | 3 | 0.500 | as it stands | 0.500 | none to 0.500 |" in table.markdown([tuned], "exact_j")
    half = Candidate("half", {}, {0: result("half", 0.5), 1: result("half", None, 1)})
    assert "none with 1 of 2 seeds" in table.markdown([Tuned("gpt2", [half])], "exact_j")


@pytest.mark.parametrize("damage", [("0.25", "0.99"), ('"seed": 0', '"seed": [0]'), ("{", "")])
def test_a_trial_that_was_changed_is_refused(damage: tuple[str, str], tmp_path: Path) -> None:
    seals.write_sealed(tmp_path / "0.json", dict(result("a", 0.25)))
    text = (tmp_path / "0.json").read_text()
    assert damage[0] in text
    (tmp_path / "0.json").write_text(text.replace(*damage))
    with pytest.raises(UserError, match="tune again"):
        protocol.stored(tmp_path)


@pytest.fixture
def tuned_here(tmp_path: Path) -> list[str]:
    return [
        "tune", "--task", "detox", "--system", "gpt2", "--learning-rates", "1e-3", "--batch-sizes", "4",
        "--dropouts", "0", "--finalists", "1", "--seeds", "1", "--limit", "3", "--set", "budget=2steps",
        "--set", "data.train=20", "--set", "gpt2.recipe.layers=1", "--out", str(tmp_path / "tuning"),
    ]  # fmt: skip


def test_the_verb_trains_judges_and_writes(
    tuned_here: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "ProcessPoolExecutor", InThisProcess)
    assert main(tuned_here) == 0
    record = json.loads((tmp_path / "tuning" / "tuning.json").read_text())
    candidates = record["systems"]["gpt2"]["candidates"]
    assert [candidate["name"] for candidate in candidates] == [AS_IT_STANDS, "lr0.001-batch4-dropout0"]
    assert all(candidate["trials"]["0"]["n"] == 3 for candidate in candidates)
    assert not list((tmp_path / "tuning" / "trials").glob("*.training"))
    before = capsys.readouterr()
    assert "| gpt2 | 2 |" in before.out
    monkeypatch.setattr(trial, "_carried_out", None)  # would fail if anything were tried again
    assert main(tuned_here) == 0
    assert capsys.readouterr().out == before.out


class InThisProcess:
    """A pool of this process alone."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def shutdown(self, **_: Any) -> None:
        pass

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


def test_what_cannot_be_tuned_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for words, said in (
        (["--system", "gpt2", "--learning-rates", "fast"], "--learning-rates"),
        (["--system", "gpt2", "--jobs", "0"], "--jobs"),
        (["--system", "nobody"], "nobody"),
        (["--system", "gpt2", "--metric", "length"], "more is not better"),
        (["--system", "gpt2", "--metric", "exact_novel"], "no metric of detox"),
        (["--system", "gpt2", "--jobs", "100000"], "--jobs"),
        (["--system", "gpt2,copy", "--out", str(tmp_path / "x")], "copy learns nothing"),
        (["--system", "gpt2", "--out", str(file)], "file"),
    ):
        assert main(["tune", "--task", "detox", *words]) == 2
        assert said in capsys.readouterr().err


def test_a_training_that_diverges_has_no_score(tmp_path: Path) -> None:
    choices = trial.judged_data(CHOICES, 3)
    changes = {"training.learning_rate": 1.0, "training.eps": 1e-300, "training.batch_size": 4}
    asked = Trial(choices, "gpt2", "wild", changes, 0, "exact_j", 3, tmp_path)
    made = asked.plan
    system = made.cells[0].contestant.system

    def diverges(*_: Any, **__: Any) -> None:
        raise UserError("The loss of 'gpt2' was not finite at step 1.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "fit", diverges)
        outcome = trial.run(asked)
    assert outcome["value"] is None
    assert "not finite" in str(outcome["reason"])
    assert trial.run(asked) == outcome
