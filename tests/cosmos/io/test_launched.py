"""What a process knows of the launch it is part of, and that one of all says why they end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import cosmos
from cosmos.io import launched
from cosmos.io.errors import UserError


@pytest.fixture
def third_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)


def test_a_process_alone_is_first_and_takes_the_device_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert launched.launch() is None and launched.is_first() and launched.first_to_say()
    assert launched.own_device("cuda:3") == "cuda:3" and launched.end(2) == 2
    monkeypatch.setenv("WORLD_SIZE", "many")
    assert launched.launch() is None
    assert not launched.lost_another(RuntimeError("Connection closed by peer"))


@pytest.mark.usefixtures("third_of_four")
def test_a_launched_process_has_a_device_of_its_own() -> None:
    assert launched.launch() == launched.Launch(2, 4, 1) and not launched.is_first()
    assert launched.own_device("cuda") == "cuda:1" and launched.own_device("cpu") == "cpu"
    with pytest.raises(UserError, match="Each of 4 launched processes has a GPU of its own"):
        launched.own_device("cuda:0")
    assert launched.lost_another(RuntimeError("[enforce fail] Connection closed by peer [127.0.0.1]:1"))
    assert not launched.lost_another(RuntimeError("a bad shape")) and not launched.lost_another(ValueError("gloo"))


def launch(code: str, count: int, **changes: str) -> list[subprocess.CompletedProcess[str]]:
    """Processes that think they were launched together; the launcher's store is this one's."""
    from torch.distributed import TCPStore

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    path = str(Path(cosmos.__file__).parents[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={
                **os.environ, "PYTHONPATH": path, "RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_PORT": str(port),
                "MASTER_ADDR": "127.0.0.1", "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1", **changes,
            },
        )
        for rank in range(count)
    ]  # fmt: skip
    done = [subprocess.CompletedProcess(process.args, process.wait(), *process.communicate()) for process in processes]
    del store
    return done


def test_one_of_all_says_why_they_end_and_words_reach_the_others() -> None:
    code = """
import os
from cosmos.io import launched
from cosmos.io.errors import UserError
from cosmos.io.terminal import answer
def command():
    if launched.is_first():
        launched.tell_others("word", "all the same")
    raise UserError(f"It was {launched.heard('word')}.")
answer(command)
"""
    done = launch(code, 2)
    assert [process.returncode for process in done] == [2, 2]
    assert sorted(process.stderr for process in done) == ["", "It was all the same.\n"]
