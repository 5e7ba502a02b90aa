"""Runs of several machines become one; what differs is refused, and a kill leaves nothing that passes for whole."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import environment, seals, store
from benchmarks.running import runner
from benchmarks.running.merging import merge
from reports import content

Make = Callable[..., Plan]

pytestmark = pytest.mark.usefixtures("no_power_cuts")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the runs, which the first test makes and all take copies of."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def two(planned: Make, quiet: Any, tmp_path: Path, made: Path) -> list[Path]:
    """Runs of two machines, with a floor in both."""
    for name, system in (("one", "toy"), ("two", "moody")):
        if not (made / name).exists():
            plan = planned(out=str(made / name), system=f"{system},knowing", setting=f"{system}:fast")
            assert runner.run(plan, quiet).exit_code == 0
        shutil.copytree(made / name, tmp_path / name)
    return [tmp_path / "one", tmp_path / "two"]


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a record and seal it anew, as another machine might have made it."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(seals.sealed(data)))


def test_two_runs_become_one_with_the_same_bytes_again(
    two: list[Path], tmp_path: Path, command: Any, planned: Make, quiet: Any
) -> None:
    before = {folder: seals.tree_hashes(folder) for folder in two}
    done = command("merge", *map(str, two), "--out", str(tmp_path / "both"))
    assert (done.returncode, done.stdout) == (0, f"run folder: {tmp_path / 'both'}\n")
    assert done.stderr == f"knowing seed 0: the record of {two[0]}, whose texts are those of {two[1]}\n"
    records = {record.header.cell.system: record for record in store.read_run(tmp_path / "both")}
    assert list(records) == ["toy", "knowing", "moody"]
    parts = [record for folder in two for record in store.read_run(folder)]
    assert list(records.values()) == [parts[0], parts[1], parts[2]]
    merge(two, tmp_path / "again")
    assert seals.tree_hashes(tmp_path / "again") == seals.tree_hashes(tmp_path / "both")
    assert {folder: seals.tree_hashes(folder) for folder in two} == before
    assert len(content.build(tmp_path / "both", tmp_path).sections[0].panel.entries) == 3
    plan = planned(out=str(tmp_path / "both"), system="toy,moody,knowing", setting="toy:fast,moody:fast")
    quiet.lines.clear()
    assert runner.run(plan, quiet).exit_code == 0
    assert sum("generated already" in line for line in quiet.lines) == 3


def test_documents_that_one_run_alone_has_are_taken(two: list[Path], tmp_path: Path) -> None:
    for name in ("documents", "learnt"):
        shutil.rmtree(two[1] / name)
        merge(two, tmp_path / f"both without {name}")
        merge(two[::-1], tmp_path / f"turned without {name}")
        for folder in (f"both without {name}", f"turned without {name}"):
            assert seals.tree_hashes(tmp_path / folder / name) == seals.tree_hashes(two[0] / name)


def test_a_killed_merge_leaves_no_run_and_the_next_one_is_whole(
    two: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, calls = shutil.copyfile, []

    def killed(*words: Any) -> None:
        calls.append(words)
        if len(calls) == 7:
            raise KeyboardInterrupt
        copy(*words)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", killed)
        with pytest.raises(KeyboardInterrupt):
            merge(two, tmp_path / "both")
    assert not (tmp_path / "both").exists()
    merge(two, tmp_path / "both")
    merge(two, tmp_path / "again")
    assert seals.tree_hashes(tmp_path / "both") == seals.tree_hashes(tmp_path / "again")
    assert not list(tmp_path.glob(".*partial"))
    with pytest.raises(UserError, match="is there already"):
        merge(two, tmp_path / "both")


def other_words(plan: Any) -> None:
    plan["data"]["word"] = "other"


def other_version(plan: Any) -> None:
    plan["task"]["version"] = "2"


def other_recipe(plan: Any) -> None:
    plan["systems"]["knowing"]["recipe"]["width"] = 5


def other_judge(plan: Any) -> None:
    plan["evaluators"]["lm"] = "another"


def other_contents(plan: Any) -> None:
    plan["contents"]["data.folder"] = "0" * 16


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_words, r"data\.word is other in one and word in the other"),
        (other_version, r"task\.version is 2 in one and 1"),
        (other_recipe, r"knowing\.recipe.* is 5 in one and not set"),
        (other_contents, r"data\.folder names changed between the runs"),
    ],
)
def test_runs_that_asked_something_else_are_refused(
    two: list[Path], tmp_path: Path, change: Callable[[Any], None], said: str
) -> None:
    edit(two[0] / "plan.json", change)
    for folders in (two, two[::-1]):
        with pytest.raises(UserError, match=r"(merged|changed)"):
            merge(folders, tmp_path / "both")
    with pytest.raises(UserError, match=said):
        merge(two, tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_runs_by_other_judges_are_refused(two: list[Path], tmp_path: Path) -> None:
    edit(two[0] / "plan.json", other_judge)
    merge(two, tmp_path / "one judge")
    edit(two[1] / "plan.json", lambda plan: plan["evaluators"].update(lm="a third"))
    with pytest.raises(UserError, match=r"evaluators\.lm is another in one and a third in the other"):
        merge(two, tmp_path / "both")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header: header["documents"]["train"].update(sha256="0" * 64), "training documents have the SHA-256"),
        (lambda header: header["documents"]["test"].update(sha256="0" * 64), "test documents have the SHA-256"),
        (lambda header: header["device"].update(name="Another machine"), "texts were timed on"),
    ],
)
def test_cells_with_other_documents_or_on_another_device_are_refused(
    two: list[Path], tmp_path: Path, change: Callable[[Any], None], said: str
) -> None:
    for path in two[1].rglob("header.json"):
        edit(path, change)
    with pytest.raises(UserError, match=said):
        merge(two, tmp_path / "both")


def test_two_records_of_one_cell_are_refused_and_one_copied_is_not(
    two: list[Path], tmp_path: Path, planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(two[0], tmp_path / "copy")
    assert merge([two[0], tmp_path / "copy"], tmp_path / "same") == []
    monkeypatch.setattr(environment, "now", lambda: "2030-01-01")
    third = tmp_path / "third"
    runner.run(planned(out=str(third), setting="fast"), quiet)
    cell = store.read_run(third)[0].header.cell
    with pytest.raises(UserError, match=rf"{cell.id} are two different records of one cell \(toy fast seed 0\)"):
        merge([two[0], third], tmp_path / "both")


def test_two_trainings_of_one_checkpoint_are_refused(
    two: list[Path], tmp_path: Path, planned: Make, quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(two[0] / "checkpoints", tmp_path / "copied" / "checkpoints")
    (tmp_path / "copied" / ".lock").touch()
    runner.run(planned(out=str(tmp_path / "copied"), setting="default"), quiet)
    merge([two[0], tmp_path / "copied"], tmp_path / "both")
    assert [record.header.cell.setting for record in store.read_run(tmp_path / "both")] == [
        "fast",
        "default",
        "default",
    ]
    monkeypatch.setattr(environment, "commit", lambda: ("f" * 40, False))
    runner.run(planned(out=str(tmp_path / "trained"), setting="default"), quiet)
    with pytest.raises(UserError, match=r"two trainings of one checkpoint \(toy seed 0\)"):
        merge([two[0], tmp_path / "trained"], tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("documents", b'{"id": "other"}\n', "was changed after it was written"),
        ("learnt", gzip.compress(b'"other"\n', mtime=0), "was changed after it was written"),
        ("learnt", b"no gzip", "is damaged"),
        ("tokenizers", gzip.compress(b"{}", mtime=0), "another tokenizer than its name says"),
    ],
)
def test_texts_that_were_changed_are_not_merged(
    two: list[Path], tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    for path in (two[1] / name).iterdir():
        path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        merge(two, tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_runs_of_two_tokenizers_are_refused(two: list[Path], tmp_path: Path) -> None:
    for header in two[1].glob("cells/*/header.json"):
        edit(header, lambda data: data["tokenizer"].update(sha256="f" * 64))
    with pytest.raises(UserError, match="cannot be merged: texts go through a tokenizer with the SHA-256"):
        merge(two, tmp_path / "both")


def test_a_changed_record_is_not_merged(two: list[Path], tmp_path: Path) -> None:
    weights = next((two[1] / "checkpoints").glob("*/weights.json"))
    weights.write_text(weights.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match=rf"{weights} was changed"):
        merge(two, tmp_path / "both")
    with pytest.raises(UserError, match="lies in one of the runs"):
        merge(two, two[0] / "both")
    with pytest.raises(UserError, match="at least two runs"):
        merge([two[0], two[0]], tmp_path / "both")
