"""What a machine may refuse: space, a cache, a home folder. Asked for first, said rightly, and nothing is lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.metrics.core import cache
from benchmarks.records.files import hugging_face_home
from cosmos.io.files import WriteError, cache_folder, expanded, write_bytes

Command = Callable[..., subprocess.CompletedProcess[str]]
RUN = ("run", "--task", "echo", "--device", "cpu", "--out", "run")


def test_a_cache_that_cannot_be_written_is_noticed_before_anything_is_trained(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "file" / "cache"))
    done = command(*RUN, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("(Not a directory); set COSMOS_CACHE to another folder.")
    assert not list(tmp_path.rglob("checkpoints")) and not list(tmp_path.rglob("header.json"))
    assert command("fit", *RUN[1:], cwd=tmp_path).returncode == 0, "training keeps nothing there"


def test_a_cache_that_is_no_database_is_to_be_deleted(tmp_path: Path) -> None:
    cache.check(tmp_path / "whole")
    (tmp_path / cache.FILE).write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match=rf"delete {cache.FILE} there"):
        cache.check(tmp_path)


def test_whoever_has_no_home_folder_is_told_what_to_set(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(path: str) -> str:
        return path

    for name in ("COSMOS_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", unknown)  # as where neither HOME nor an entry for the user is
    if sys.platform == "linux":
        with pytest.raises(UserError, match="no home folder to keep scores in; set COSMOS_CACHE"):
            cache_folder()
        done = command(*RUN, cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "set COSMOS_CACHE" in done.stderr
        assert not list(tmp_path.rglob("checkpoints"))
    assert hugging_face_home() == Path("~/.cache/huggingface")
    with pytest.raises(UserError, match="write the path without ~"):
        expanded("~nobody/data")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("wrapped", [True, False], ids=["ours", "a system's own"])
def test_a_full_disk_while_a_checkpoint_is_written_ends_the_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, wrapped: bool
) -> None:
    import toy_contestants

    def full(*_: Any, workdir: Path | None = None, **__: Any) -> None:
        error = OSError(code, os.strerror(code))
        raise WriteError.of(tmp_path / "weights", error) if wrapped else error

    with monkeypatch.context() as patch:
        patch.setattr(toy_contestants.Toy, "fit", full)
        done = command("fit", *RUN[1:], "--system", "toy,broken", cwd=tmp_path)
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1]
    assert said.startswith("There is no space left to write") and said.endswith("nothing is lost.")
    assert "failed" not in done.stderr and "refused" not in done.stderr
    again = command("fit", *RUN[1:], "--system", "toy", cwd=tmp_path)
    assert again.returncode == 0, "the same command goes on"


def test_another_refusal_of_the_system_is_the_cells_own(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import toy_contestants

    def lost(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file", "vocabulary.txt")

    monkeypatch.setattr(toy_contestants.Broken, "generate", lost)
    assert command("fit", *RUN[1:], "--system", "broken", cwd=tmp_path).returncode == 0
    done = command("generate", *RUN[1:], "--system", "broken", cwd=tmp_path)
    assert done.returncode == 1
    assert "failed: FileNotFoundError" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--system", "copy,gpt2", "--set", "gpt2.recipe.pretrained=/nowhere/gpt2"),
        ("--system", "copy,cosmos", "--set", "cosmos.recipe.model.text_encoder=/nowhere/encoder"),
    ],
)
def test_weights_that_are_not_here_are_missed_before_anything_is_trained(
    command: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    sizes = ("--set", "data.train=5", "--set", "data.test=2", "--set", "data.validation=2")
    done = command("run", "--task", "detox", "--device", "cpu", "--out", "run", *sizes, *words, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "/nowhere/" in done.stderr
    assert not list(tmp_path.rglob("checkpoints")) and not list(tmp_path.rglob("header.json"))


def test_show_sends_no_control_character(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toy_contestants

    usual = toy_contestants.Toy.generate

    def coloured(self: Any, requests: Any, setting: Any) -> Any:
        return [
            type(sample)(sample.id, f"\x1b]0;owned\x07 {sample.text}\nfast\x9b2J\ud800", sample.tokens, True)
            for sample in usual(self, requests, setting)
        ]

    monkeypatch.setattr(toy_contestants.Toy, "generate", coloured)
    for verb in ("fit", "generate"):
        assert command(verb, *RUN[1:], "--system", "toy", cwd=tmp_path).returncode == 0
    done = command("show", "toy", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(character.isprintable() or character == "\n" for character in done.stdout)
    assert "]0;owned" in done.stdout
    assert not any(line.startswith("fast") for line in done.stdout.splitlines()), "no text begins a line of its own"


def test_a_refusal_to_write_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    write_bytes(path, b"before")
    with pytest.raises(WriteError):
        write_bytes(path / "below", b"after")
    assert path.read_bytes() == b"before"
