"""Points beside the grid: the same for all and as many of its own for each, or one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.cli.main import main
from benchmarks.planning.run_config import Choices
from benchmarks.tuning import further_points, protocol, trial
from benchmarks.tuning.further_points import FurtherPoints
from benchmarks.tuning.space import Point, TrialGrid

TEXT = """
[every]
points = [{learning_rate = 5e-3, batch_size = 8, dropout = 0.1}]

[gpt2]
"more decay" = {"training.weight_decay" = 0.1}

[mdlm]
"slow EMA" = {"training.ema_decay" = 0.995}
"""
PREPARED = Path(__file__).parents[3] / "docs" / "tuning" / "own-points.toml"
GRID = TrialGrid((1e-3,), (8,), (0.0,), finalists=1, seeds=1)


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "points.toml").write_text(text)
    return tmp_path / "points.toml"


def test_a_file_gives_points_for_all_and_for_one(tmp_path: Path) -> None:
    points = further_points.read(written(tmp_path, TEXT))
    assert points.every == (Point(5e-3, 8, 0.1),)
    assert points.own["mdlm"] == {"slow EMA": {"training.ema_decay": 0.995}}


def test_candidates_are_the_grid_and_what_is_beside_it(tmp_path: Path) -> None:
    points = further_points.read(written(tmp_path, TEXT))
    choices = trial.judged_data(Choices(task="detox", device="cpu", changes={"budget": "2steps"}), 4)
    search = protocol._Search(choices, GRID, "exact_j", 4, tmp_path, lambda _: None, points)
    assert [candidate.name for candidate in search.candidates("gpt2")] == [
        protocol.AS_IT_STANDS, "lr0.001-batch8-dropout0", "lr0.005-batch8-dropout0.1", "more decay",
    ]  # fmt: skip
    decayed = search.cell("gpt2", search.candidates("gpt2")[-1]).cell.recipe
    assert decayed["training"]["weight_decay"] == 0.1
    assert len(search.distinct("mdlm")) == 4


def test_the_points_that_are_prepared_are_recipes_of_their_own(tmp_path: Path) -> None:
    """As many for each system, of keys that it has, each another recipe than that of the preset."""
    points = further_points.read(PREPARED)
    points.check_equal(list(points.own))
    choices = trial.judged_data(Choices(task="detox", device="cpu", changes={"budget": "3e12flops"}), 4)
    for system, own in points.own.items():
        only = FurtherPoints(own={system: own})
        search = protocol._Search(choices, GRID, "exact_j", 4, tmp_path, lambda _: None, only)
        names = {candidate.name for candidate in search.distinct(system)}
        assert {protocol.AS_IT_STANDS, *own} <= names, system


def test_no_system_has_more_points_of_its_own() -> None:
    FurtherPoints(own={"gpt2": {"a": {"x": 1}}, "mdlm": {"b": {"x": 1}}}).check_equal(["gpt2", "mdlm"])
    with pytest.raises(UserError, match="here it is gpt2 1, mdlm 0"):
        FurtherPoints(own={"gpt2": {"a": {"x": 1}}}).check_equal(["gpt2", "mdlm"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[every", "not a TOML file"),
        ("every = 3", "holds a list `points` and nothing else"),
        ("[every]\nothers = []", "holds a list `points` and nothing else"),
        ("[every]\npoints = [{learning_rate = 1}]", "is damaged"),
        ("[nobody]\na = {x = 1}", "nobody"),
        ("[gpt2]\na = 3", "not a table of keys"),
        ("[gpt2]\na = {}", "not a table of keys"),
    ],
)
def test_another_file_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        further_points.read(written(tmp_path, text))


def test_a_missing_file_and_an_unknown_key_end_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["tune", "--task", "detox", "--system", "gpt2", "--out", str(tmp_path / "out"), "--points"]
    assert main([*asked, str(tmp_path / "none.toml")]) == 2
    assert "Cannot read" in capsys.readouterr().err
    assert main([*asked, str(written(tmp_path, '[gpt2]\na = {"training.decay" = 1}'))]) == 2
    assert "gpt2.recipe.training.decay" in capsys.readouterr().err
