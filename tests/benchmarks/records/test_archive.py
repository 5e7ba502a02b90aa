"""Where runs are found: a folder, a tree, an archive; and what is said where there is none."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.records.archive import RECORDS, found_runs

HISTORIC = Path(__file__).parents[2] / "historic"
ARCHIVE = HISTORIC / "schema-2" / RECORDS


def names(place: Path) -> list[str]:
    with found_runs(place) as found:
        assert all((run.folder / "plan.json").is_file() for run in found)
        return [run.name for run in found]


def run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    return folder


def packed(archive: Path, *entries: tarfile.TarInfo) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:xz") as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(b"{}") if entry.isfile() else None)
    return archive


def entry(name: str, kind: bytes = tarfile.REGTYPE, **more: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, 2 if kind == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(info, key, value)
    return info


def test_a_tree_is_searched_and_a_run_is_not(tmp_path: Path) -> None:
    wanted = [run(tmp_path / "b" / "später"), run(tmp_path / "a")]
    run(tmp_path / "a" / "report" / "not-a-run-of-its-own")
    shutil.copytree(ARCHIVE.parent, tmp_path / "published")
    (tmp_path / "notes").mkdir()
    assert names(tmp_path) == sorted(map(str, [*wanted, tmp_path / "published"]))
    assert names(wanted[0]) == [str(wanted[0])]


def test_an_archive_is_found_by_its_name_and_unpacked_for_a_while(tmp_path: Path) -> None:
    with found_runs(ARCHIVE) as by_name, found_runs(ARCHIVE.parent) as by_folder:
        assert [one.name for one in by_name] == [one.name for one in by_folder] == [str(ARCHIVE.parent)]
        unpacked = by_name[0].folder
    assert not unpacked.exists()


def test_what_lies_unpacked_beside_its_archive_counts_once(tmp_path: Path) -> None:
    packed(tmp_path / RECORDS, entry("one/plan.json"), entry("two/plan.json"))
    run(tmp_path / "one")
    with found_runs(tmp_path) as found:
        assert [one.name for one in found] == [str(tmp_path / "one"), str(tmp_path / "two")]
        assert found[0].folder == tmp_path / "one"


def test_links_are_not_followed(tmp_path: Path) -> None:
    run(tmp_path / "elsewhere" / "run")
    (tmp_path / "tree").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "tree" / "linked", target_is_directory=True)
    with pytest.raises(UserError, match="holds no run"), found_runs(tmp_path / "tree"):
        pass


@pytest.mark.parametrize(
    "inside",
    [
        entry("../outside.json"),
        entry("sub/link", tarfile.SYMTYPE, linkname="../../outside.json"),
        entry("device", tarfile.CHRTYPE),
    ],
    ids=["above", "link", "device"],
)
def test_an_archive_writes_nothing_outside_its_folder(inside: tarfile.TarInfo, tmp_path: Path) -> None:
    archive = packed(tmp_path / "here" / RECORDS, inside)
    with pytest.raises(UserError, match="is no archive of records, or is damaged"), found_runs(archive):
        pass
    assert not (tmp_path / "outside.json").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", ARCHIVE.read_bytes()[:2000]], ids=["empty", "text", "cut"])
def test_a_damaged_archive_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / RECORDS).write_bytes(content)
    with pytest.raises(UserError) as raised, found_runs(tmp_path):
        pass
    assert str(raised.value).startswith(f"{tmp_path / RECORDS} is no archive of records, or is damaged;")


def test_nothing_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is nothing at .*missing; name a run's folder"):
        names(tmp_path / "missing")
    with pytest.raises(UserError, match=r"holds no run; `python -m benchmarks run .* makes one"):
        names(tmp_path)
