"""A file is whole or not there, whatever fails and whenever the process is killed."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cosmos.io.errors import UserError
from cosmos.io.files import WriteError, make_folder, read_json, remove_leftovers, replacing, write_bytes, write_json

ROOT = Path(__file__).parents[3]

# Ends itself at the n-th operation on files of one write, of those that it makes known as they begin.
KILLED = """
import os, signal, sys
from pathlib import Path
from cosmos.io.files import write_bytes

left = [int(sys.argv[2])]

def audit(event, arguments):
    if event in ("open", "os.mkdir", "os.chmod", "os.rename", "os.remove", "os.rmdir", "os.utime"):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

sys.addaudithook(audit)
write_bytes(Path(sys.argv[1]), b"new" * 1000)
"""


def test_a_kill_at_any_operation_leaves_the_old_file_or_the_new_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    seen = set()
    for moment in range(40):
        path.write_bytes(b"old")
        done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(moment)], cwd=ROOT)
        seen.add(path.read_bytes())
        assert list(tmp_path.rglob("*.json")) == [path]  # no reader takes what was left for data
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    else:
        pytest.fail("one write takes more than forty operations")
    assert moment > 5
    assert seen == {b"old", b"new" * 1000}
    remove_leftovers(path)
    assert list(tmp_path.iterdir()) == [path]


def denied(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("operation", ["fsync", "replace", "write_bytes", "mkdir"])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    path = tmp_path / "value.json"
    write_json(path, {"old": 1})
    with monkeypatch.context() as patch:
        patch.setattr(os if hasattr(os, operation) and operation != "mkdir" else Path, operation, denied)
        with pytest.raises(WriteError, match=r"no space left to write .*; free some and run the same"):
            write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_block_raises_is_raised_and_nothing_is_left(tmp_path: Path) -> None:
    def half(path: Path) -> None:
        with replacing(path) as fresh:
            fresh.write_text("half")
            fresh.with_name("of a library").write_text("besides")
            raise KeyError

    with pytest.raises(KeyError):
        half(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the last to end
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_a_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"Cannot write .*below \(Not a directory\); choose another folder\."):
        write_bytes(tmp_path / "file" / "below", b"")
    with pytest.raises(WriteError, match="File exists"):
        make_folder(tmp_path / "file")


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_mode_is_what_the_mask_says(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "file") as fresh:
            fresh.chmod(0o600)  # as safetensors does
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


def test_a_link_is_replaced_and_what_it_points_at_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "file").symlink_to(tmp_path / "outside")
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "outside").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "new"


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "one", {"b": "\N{SNOWMAN}", "a": 1})
    write_json(tmp_path / "two", {"a": 1, "b": "\N{SNOWMAN}"})
    assert (tmp_path / "one").read_text(encoding="utf-8") == '{\n "a": 1,\n "b": "\N{SNOWMAN}"\n}\n'
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff{}"])
def test_damaged_json_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "value.json").write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged \(.*\); train again\."):
        read_json(tmp_path / "value.json", "train again")
    with pytest.raises(UserError, match=r"Cannot read .* \(No such file or directory\); delete it"):
        read_json(tmp_path / "none.json")
