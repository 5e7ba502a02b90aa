"""Files and folders that a run names are known by what is in them, wherever they lie."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.planning import contents, plan_file
from benchmarks.planning.plan import Plan
from benchmarks.records.schema import Cell


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "deeper").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_folder_is_what_is_in_it(model: Path, tmp_path: Path) -> None:
    recipe = {"model": {"text_encoder": str(model), "width": 3}, "pretrained": None, "kind": "model"}
    found = contents.of_recipe(recipe, [str(model)])
    assert list(found) == ["recipe.model.text_encoder"]
    (model / ".note").write_text("hidden")
    other = shutil.copytree(model, tmp_path / "other")
    moved = {"model": {"text_encoder": str(other)}}
    assert contents.of_recipe(moved, ()) == found
    (other / "model.safetensors").write_bytes(b"Weights")
    assert contents.of_recipe(moved, ()) != found
    assert contents.of_recipe({"pretrained": "gpt2", "start": "no/such/folder"}, ["gpt2"]) == {}


def test_a_cell_with_another_content_is_another_and_with_another_name_the_same() -> None:
    cell = Cell(
        "echo", "1", "local", {"folder": "/a"}, "toy", "nano", {"encoder": {"name": "/a/model"}}, "1steps", "fast", {},
        None, 1, "cpu", "float32", 0, contents={"recipe.encoder.name": "11", "data.folder": "22"},
    )  # fmt: skip
    moved = dataclasses.replace(cell, data={"folder": "/b"}, recipe={"encoder": {"name": "/b/model"}})
    assert (moved.id, moved.checkpoint_id) == (cell.id, cell.checkpoint_id)
    for key in cell.contents:
        changed = dataclasses.replace(cell, contents={**cell.contents, key: "33"})
        assert changed.id != cell.id and changed.checkpoint_id != cell.checkpoint_id
    assert cell.recipe == {"encoder": {"name": "/a/model"}}, "what is shown stays a name"


def _set(folder: Path, word: str) -> None:
    (folder / "mine").mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation", "test"):
        rows = [{"id": f"{split}{n}", "source": f"{split} {n}", "target": f"The {word} sat."} for n in range(4)]
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / "mine" / f"{split}.jsonl").write_text(text)


def test_a_folder_of_data_is_what_is_read_of_it(tmp_path: Path, planned: Callable[..., Plan]) -> None:
    def plan_of(folder: Path) -> Plan:
        return planned(f"data.folder={folder}", "data.name=mine", source="local", out="run")

    _set(tmp_path / "a", "cat")
    _set(tmp_path / "b", "cat")
    one, same = plan_of(tmp_path / "a"), plan_of(tmp_path / "b")
    assert [p.cell.id for p in one.cells] == [p.cell.id for p in same.cells]
    _set(tmp_path / "a", "dog")
    other = plan_of(tmp_path / "a")
    assert {p.cell.id for p in one.cells}.isdisjoint(p.cell.id for p in other.cells)
    with pytest.raises(UserError, match=r"the place that data\.folder names changed since the run in run was made"):
        plan_file.join(plan_file.describe(one), plan_file.describe(other), Path("run"))
