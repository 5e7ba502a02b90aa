"""Claims of single cells: who shares a run's folder, and who is kept out."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.records import claims
from benchmarks.records.files import locked

HOLD = """
import sys
from pathlib import Path
from benchmarks.records import claims
from benchmarks.records.files import locked
run = Path(sys.argv[1])
with eval(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(run: Path, claim: str) -> Iterator[subprocess.Popen[str]]:
    command, pipe = [sys.executable, "-c", HOLD, str(run), claim], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parents[3]) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        yield other
        other.kill()


def test_cells_of_one_run_are_held_by_several_processes_each_by_one(tmp_path: Path) -> None:
    with held_by_another(tmp_path, "claims.some_cells(run, ['a', 'b'])") as other:
        with claims.some_cells(tmp_path, ["c"]):
            pass
        with pytest.raises(UserError, match=f"cell b .* process {other.pid} on "), claims.some_cells(tmp_path, "cb"):
            pytest.fail("two processes hold one cell")
        with pytest.raises(UserError, match=f"cell a .* process {other.pid} on "):
            claims.check_idle(tmp_path, ["c", "a"])
        with pytest.raises(UserError, match="is being written by another process"), locked(tmp_path):
            pytest.fail("one has the whole run, and another a cell of it")
        other.kill()
        with claims.some_cells(tmp_path, ["b"], patience=60):  # it ends with its process
            pass
    with locked(tmp_path):
        pass


def test_who_has_the_whole_run_keeps_others_from_its_cells(tmp_path: Path) -> None:
    with (
        held_by_another(tmp_path, "locked(run)") as other,
        pytest.raises(UserError, match=f"process {other.pid} on "),
        claims.some_cells(tmp_path, ["a"]),
    ):
        pytest.fail("one has the whole run, and another a cell of it")


def test_one_launch_at_a_time_has_the_cells_of_a_run_made(tmp_path: Path) -> None:
    with held_by_another(tmp_path, "claims.launch(run)") as other:
        with pytest.raises(UserError, match=f"are being made by process {other.pid} on "), claims.launch(tmp_path):
            pytest.fail("two launches hold one run")
        with claims.some_cells(tmp_path, ["a"]):  # as its workers do
            pass


def test_who_comes_second_to_a_checkpoint_waits_until_it_is_trained(tmp_path: Path) -> None:
    said, order, begun = list[str](), list[str](), threading.Event()

    def first() -> None:
        with claims.training(tmp_path, "x", said.append):
            begun.set()
            while not said:
                pass
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    with claims.training(tmp_path, "x", said.append):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert said == [f"waiting for process {os.getpid()} on {os.uname().nodename}, which trains the same checkpoint"]


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with pytest.raises(UserError, match=r"has no locks .*merge them"), claims.some_cells(tmp_path, ["a"]):
        pytest.fail("nothing was held")


def test_a_planted_link_in_place_of_a_claim_writes_nothing_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "run" / claims.FOLDER).mkdir(parents=True)
    (tmp_path / "run" / claims.FOLDER / "a").symlink_to(outside)
    with pytest.raises(UserError, match="Cannot write"), claims.some_cells(tmp_path / "run", ["a"]):
        pytest.fail("a link was followed")
    assert outside.read_text() == "mine"
