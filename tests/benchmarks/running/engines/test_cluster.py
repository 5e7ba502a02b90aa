"""Reaching a cluster, and what a stage takes of it; without Ray."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.running.engines import cluster
from benchmarks.running.engines.needs import BESIDE, Machine, Shares, needs

Command = Callable[..., subprocess.CompletedProcess[str]]
STAGES = ("fit", "generate", "score")
RUN = ("run", "--task", "echo", "--device", "cpu")


@contextmanager
def listening(answer: bytes) -> Iterator[str]:
    """The address of somebody who answers once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            talk, _ = server.accept()
            with talk:
                talk.recv(64)
                talk.sendall(answer)

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


def test_an_address_where_nobody_is_or_who_is_no_cluster_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UserError, match=f"No Ray cluster answers at 127.0.0.1:{port}"):
        cluster.check_answers(f"127.0.0.1:{port}")
    for answer in (b"HTTP/1.0 400 Bad Request\r\n\r\n", b"", b"220 mail ready\r\n"):
        with listening(answer) as address, pytest.raises(UserError, match="No Ray cluster answers"):
            cluster.check_answers(address)
    with listening(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))) as address:
        cluster.check_answers(address)


def test_who_accepts_and_says_nothing_is_waited_for_only_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster.REACH_SECONDS * 2 < 10
    monkeypatch.setattr(cluster, "REACH_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UserError, match="No Ray cluster answers"):
        cluster.check_answers(f"127.0.0.1:{server.getsockname()[1]}")


def test_ray_is_told_not_to_try_for_long_where_an_address_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for name in ("RAY_ADDRESS", *cluster._HURRIED):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_py_gcs_connect_timeout_s", "30")  # a user's own stays
    for address in (None, "auto", "127.0.0.1:1"):
        with pytest.raises(UserError, match="needs the package ray"):
            cluster.connect(address)
        told = {name: os.environ.get(name) for name in cluster._HURRIED}
        asked = dict.fromkeys(cluster._HURRIED) if address != "127.0.0.1:1" else cluster._HURRIED
        assert told == {**asked, "RAY_py_gcs_connect_timeout_s": "30"}


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "10.0.0.1", "10.0.0.1:head", ""])
def test_an_address_that_is_none_is_said(address: str) -> None:
    with pytest.raises(UserError, match="takes HOST:PORT"):
        cluster.check_answers(address)


def test_a_timed_cell_has_a_machine_or_a_gpu_to_itself() -> None:
    machines = [Machine(8, 0), Machine(16, 0), Machine(64, 8), Machine(32, 4)]
    on_cpu = needs(machines[:2], "cpu", Shares(), False)
    assert dict(on_cpu.stages) == {"fit": (16, 0), "generate": (16, 0), "score": (16, 0)}
    on_gpu = needs(machines, "cuda", Shares(gpus=0.5), False)
    assert dict(on_gpu.stages) == {"fit": (3, 0.5), "generate": (3, 1), "score": (3, 0)}
    assert (on_cpu.threads, on_cpu.beside, on_gpu.threads, on_gpu.beside) == (None, None, None, None)
    assert needs(machines, "cuda", Shares(), True).stages["fit"] == (7, 1)


def test_who_asks_for_it_is_timed_beside_others_and_the_timing_is_to_say_so() -> None:
    machines = [Machine(16, 2)]
    assert needs(machines, "cuda", Shares(gpus=0.5, timed=True), False).stages["generate"] == (3, 0.5)
    assert needs(machines, "cuda", Shares(gpus=0.5, timed=True), False).beside == BESIDE
    assert needs(machines, "cpu", Shares(cpus=4, timed=True), False).beside == BESIDE
    assert needs(machines, "cpu", Shares(cpus=4), False).beside is None


def test_all_stages_say_how_many_threads_they_have_or_none_does() -> None:
    """The process of one stage may be another's before, so what one leaves to the libraries is what the other had."""
    machines = [Machine(8, 0)]
    assert needs(machines, "cpu", Shares(), False).threads is None
    assert needs(machines, "cpu", Shares(cpus=1), False).threads == {"fit": 1, "generate": 8, "score": 1}
    assert needs(machines, "cpu", Shares(cpus=1, timed=True), False).threads == dict.fromkeys(STAGES, 1)
    assert needs([Machine(8, 2)], "cuda", Shares(cpus=3), False).threads == dict.fromkeys(STAGES, 3)


@pytest.mark.parametrize(
    ("device", "asked"),
    [("cpu", Shares(timed=True)), ("cpu", Shares(cpus=16, timed=True)), ("cuda", Shares(timed=True)),
     ("cuda", Shares(cpus=2, timed=True)), ("cuda", Shares(gpus=1.0, timed=True))],
)  # fmt: skip
def test_timing_beside_nobody_is_not_asked_for(device: str, asked: Shares) -> None:
    with pytest.raises(UserError, match="--share-timed has no effect where no device is shared"):
        needs([Machine(16, 2)], device, asked, False)


@pytest.mark.parametrize(
    ("device", "asked", "said"),
    [
        ("cpu", {"gpus": 0.5}, "no effect with --device cpu"),
        ("cpu", {"cpus": 64}, "the largest has 16"),
        ("cuda", {"cpus": 64}, "No machine of the cluster with a GPU has 64 cores"),
        ("cuda", {"gpus": 2.0}, "more than 0 and at most 1"),
        ("cuda", {"gpus": 0.0}, "more than 0 and at most 1"),
        ("cpu", {"cpus": 0}, "at least 1"),
    ],
)
def test_what_no_machine_has_or_has_no_effect_is_said(device: str, asked: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        needs([Machine(16, 2)], device, Shares(**asked), False)  # type: ignore[arg-type]


def test_a_budget_in_seconds_is_not_spent_on_a_shared_device() -> None:
    for device, asked in (("cuda", Shares(gpus=0.5)), ("cpu", Shares(cpus=4))):
        with pytest.raises(UserError, match="buys less on a device that is shared"):
            needs([Machine(16, 2)], device, asked, True)
    with pytest.raises(UserError, match="has a GPU"):
        needs([Machine(16, 0)], "cuda", Shares(), True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "rya"), "did you mean ray"),
        (("--address", "10.0.0.1:6379"), "--address has an effect only with --engine ray"),
        (("--share-timed",), "--share-timed has an effect only with --engine ray"),
        (("--engine", "ray", "--gpus-per-cell", "half"), "--gpus-per-cell must be a number"),
        (("--engine", "ray", "--gpus-per-cell", "3"), "more than 0 and at most 1"),
        (("--engine", "ray", "--cell", "abcd"), "--cell is of one process"),
        (("--engine", "ray", "--address", "127.0.0.1:1", "--devices", "cpu:0,cpu:1"), "--devices is of this machine"),
    ],
)
def test_flags_that_cannot_be_are_one_sentence(
    command: Command, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = command(*RUN, *words, "--out", "run", cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_without_ray_the_command_that_adds_it_is_said(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = command(*RUN, "--engine", "ray", "--address", "127.0.0.1:1", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2 and "pip install -c constraints.txt -e '.[cluster]'" in done.stderr
    assert not (tmp_path / "run").exists()
