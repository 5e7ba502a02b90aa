"""Files and folders that a run names are known by what is in them, wherever they lie."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.planning import contents, plan_file
from benchmarks.planning.plan import Plan, make
from benchmarks.planning.run_config import Choices
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


def snapshot(hub: Path, name: str, commit: str, files: dict[str, bytes]) -> Path:
    """A commit of a model in a made-up cache of the hub, the newest."""
    root = hub / f"models--{name.replace('/', '--')}"
    folder = root / "snapshots" / commit
    for part in (folder, root / "refs", root / "blobs"):
        part.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        blob = root / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (folder / file).symlink_to(blob)
    (root / "refs" / "main").write_text(commit)
    return folder


FILES = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"weights"}


@pytest.mark.parametrize("name", ["gpt2", "a-company/model"])
def test_a_cached_model_is_what_is_in_its_newest_snapshot(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    recipe, other = {"pretrained": name, "kind": "model"}, {"pretrained": "another"}
    assert contents.of_recipe(recipe, [name]) == {}, "it is not here"
    first = snapshot(tmp_path / "hub", name, "1" * 40, FILES)
    found = contents.of_recipe(recipe, [name])
    assert list(found) == ["recipe.pretrained"]
    assert contents.of_recipe(other, ["another"]) == {}
    copy = shutil.copytree(first, tmp_path / "copy")
    assert contents.of_recipe({"pretrained": str(copy)}, []) == found, "as a folder that holds the same"
    snapshot(tmp_path / "hub", name, "2" * 40, FILES)
    assert contents.of_recipe(recipe, [name]) == found, "another commit with the same files"
    snapshot(tmp_path / "hub", name, "3" * 40, {**FILES, "model.safetensors": b"others!"})
    newer = contents.of_recipe(recipe, [name])
    assert newer != found
    (tmp_path / "hub").joinpath(f"models--{name.replace('/', '--')}", "refs", "main").write_text("2" * 40)
    assert contents.of_recipe(recipe, [name]) == found
    (first.parent / ("2" * 40) / "model.safetensors").resolve().write_bytes(b"Weights")
    assert contents.of_recipe(recipe, [name]) not in (found, newer), "bytes count, not the name of a blob"


def test_another_snapshot_of_a_cached_model_is_refused_where_a_run_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    changes = {"gpt2.recipe.pretrained": "gpt2", "data.train": 5, "data.test": 2}
    choices = Choices(task="detox", system=("gpt2",), out=str(tmp_path / "run"), changes=changes)
    plans = []
    for commit, weights in (("1" * 40, b"weights"), ("2" * 40, b"weights"), ("3" * 40, b"others!")):
        snapshot(tmp_path / "hub", "gpt2", commit, {**FILES, "model.safetensors": weights})
        plans.append(make(choices, "cpu"))
    ids = [{p.cell.checkpoint_id for p in plan.cells if p.cell.system == "gpt2"} for plan in plans]
    assert ids[0] == ids[1] and ids[0].isdisjoint(ids[2])
    stored = plan_file.describe(plans[0])
    assert plan_file.join(stored, plan_file.describe(plans[1]), Path("run"))["cells"] == stored["cells"]
    with pytest.raises(UserError, match=r"the place that gpt2\.recipe\.pretrained names changed since the run in run"):
        plan_file.join(stored, plan_file.describe(plans[2]), Path("run"))


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
