"""The store: torn lines, atomic files, the lock, full and unwritable disks, schemas."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import Document, UserError
from benchmarks.planning.plan import Plan
from benchmarks.records import run_texts, seals, store
from benchmarks.records.files import Appender, StoreError, locked, read_lines, write_json
from benchmarks.running import runner
from cosmos.io.files import read_json

Make = Callable[..., Plan]


def test_appended_rows_are_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"n": n, "text": f"line\u2028 break \ud800 {n}\n"} for n in range(5)]
    with Appender(path) as out:
        out.append(rows[:2])
        out.append([])
        out.append(rows[2:])
    assert read_lines(path) == rows
    assert path.read_bytes().isascii()


@pytest.mark.parametrize("torn", [b"{", b'{"n":3', b'{"n":3}', b"\x00\x00"])
def test_a_torn_last_line_is_left_out_and_cut_off_when_writing_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n' + torn)
    assert read_lines(path) == [{"n": 1}, {"n": 2}]
    with Appender(path) as out:
        out.append([{"n": 3}])
    assert path.read_bytes() == b'{"n":1}\n{"n":2}\n{"n":3}\n'


def test_a_damaged_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":\n{"n":3}\n')
    with pytest.raises(UserError, match="damaged at line 2"):
        read_lines(path)


def fill_after(monkeypatch: pytest.MonkeyPatch, space: int) -> None:
    """Let the disk take `space` more bytes."""
    write, replace, left = os.write, Path.write_bytes, [space]

    def limited(handle: int, data: Any) -> int:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = write(handle, bytes(data)[: left[0]])
        left[0] -= count
        return count

    def limited_file(path: Path, data: bytes) -> int:
        replace(path, data[: left[0]])
        if len(data) > left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= len(data)
        return len(data)

    monkeypatch.setattr(os, "write", limited)
    monkeypatch.setattr(Path, "write_bytes", limited_file)


@pytest.mark.parametrize("space", [0, 1, 7, 8, 9, 15])
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: int) -> None:
    path = tmp_path / "rows.jsonl"
    with Appender(path) as out:
        out.append([{"n": 1}])
        with monkeypatch.context() as patch:
            fill_after(patch, space)
            with pytest.raises(StoreError, match="no space left"):
                out.append([{"n": 2}, {"n": 3}])
        assert path.read_bytes() == b'{"n":1}\n'
        out.append([{"n": 4}])
    assert read_lines(path) == [{"n": 1}, {"n": 4}]


def test_a_file_of_a_run_that_cannot_be_written_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "header.json"
    write_json(path, {"old": 1})
    with monkeypatch.context() as patch:
        fill_after(patch, 5)
        with pytest.raises(StoreError, match="no space left"):
            write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    with pytest.raises(StoreError, match=r"Not a directory.*--out"):
        write_json(path / "below.json", {})


def test_a_run_on_a_full_disk_goes_on_when_there_is_space(
    planned: Make, quiet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.run(planned(out=str(tmp_path / "whole")), quiet, ("fit", "generate"))
    plan = planned("batch_size=5")
    for space in (1_000, 9_000, 12_000):
        with monkeypatch.context() as patch:
            fill_after(patch, space)
            with pytest.raises(StoreError):
                runner.run(plan, quiet, ("fit", "generate"))
    assert runner.run(plan, quiet, ("fit", "generate")).exit_code == 0
    texts = [[s.text for s in r.samples] for r in store.read_run(tmp_path / "run")]
    assert texts == [[s.text for s in r.samples] for r in store.read_run(tmp_path / "whole")]


HOLD = (
    "import sys; from pathlib import Path; from benchmarks.records.files import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    pipe, command = subprocess.PIPE, [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parents[3]) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {other.pid} on "), locked(tmp_path):
            pytest.fail("two processes hold one lock")
        other.kill()
    with locked(tmp_path):  # it died with its process
        assert str(os.getpid()) in (tmp_path / ".lock.owner").read_text()
    assert not (tmp_path / ".lock.owner").exists()


@pytest.mark.parametrize("name", [".lock", ".lock.owner"])
def test_a_planted_link_in_place_of_the_lock_writes_nothing_outside(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(outside)
    with contextlib.suppress(StoreError), locked(tmp_path / "run"):
        assert name == ".lock.owner"  # which is replaced; a lock itself is never taken on another's file
    assert outside.read_text() == "mine"


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_file_system_without_locks_has_them_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with locked(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on "), locked(tmp_path):
        pytest.fail("the lock is held twice")
    with locked(tmp_path):
        pass


def test_readers_need_no_lock(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(), quiet, ("fit", "generate"))
    with locked(tmp_path / "run"):
        assert len(store.read_run(tmp_path / "run")) == 2


def test_a_folder_that_is_a_file_or_holds_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        store.prepare(tmp_path / "file")
    with pytest.raises(UserError, match="Not a directory"):
        store.prepare(tmp_path / "file" / "below")
    with pytest.raises(UserError, match="holds other things"):
        store.prepare(tmp_path)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", denied)
    with pytest.raises(UserError, match=r"Permission denied.*--out"):
        store.prepare(tmp_path / "run")


@pytest.mark.parametrize("name", ["plan.json", "header.json"])
def test_a_newer_schema_is_refused(planned: Make, quiet: Any, tmp_path: Path, name: str) -> None:
    runner.run(planned(), quiet, ("fit", "generate"))
    path = next((tmp_path / "run").rglob(name))
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "schema": 99, "field_of_the_future": True}))
    kept = path.read_bytes()
    with pytest.raises(UserError, match="schema 99, newer"):
        runner.run(planned(), quiet)
    assert path.read_bytes() == kept


def test_another_cell_under_the_same_id_is_refused(planned: Make, quiet: Any, tmp_path: Path) -> None:
    plan = planned()
    runner.run(plan, quiet, ("fit", "generate"))
    path = store.cell_folder(tmp_path / "run", plan.cells[0].cell.id) / "header.json"
    data = json.loads(path.read_text())
    data["cell"]["batch_size"] = 7
    path.write_text(json.dumps(seals.sealed(data)))
    with pytest.raises(UserError, match="holds the record of another cell"):
        runner.run(plan, quiet)


def test_a_cell_is_readable_at_any_moment(planned: Make, quiet: Any, tmp_path: Path) -> None:
    runner.run(planned(), quiet)
    folder = next((tmp_path / "run" / "cells").iterdir())
    whole = store.read_cell(folder)
    store.write_header(folder, dataclasses.replace(whole.header, status="started"))
    data = (folder / "samples.jsonl").read_bytes()
    for size in (0, 1, 50, len(data) // 2, len(data) - 1):
        (folder / "samples.jsonl").write_bytes(data[:size])
        record = store.read_cell(folder)
        assert record.samples == whole.samples[: data[:size].count(b"\n")]
        assert record.scores == ()


def test_documents_are_kept_under_their_hash(tmp_path: Path) -> None:
    documents = [Document("a", None, "one", ("one", "uno")), Document("b", "x", "two", ("two",))]
    known = run_texts.write_documents(tmp_path, documents)
    assert known == run_texts.digest(documents)
    assert known["count"] == 2
    assert run_texts.read_documents(tmp_path, known["sha256"]) == documents
    assert run_texts.digest(documents[:1])["sha256"] != known["sha256"]
    with pytest.raises(UserError, match="lost its documents"):
        run_texts.read_documents(tmp_path, "0" * 64)


def test_a_folder_without_a_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run; make one"):
        store.read_run(tmp_path)
