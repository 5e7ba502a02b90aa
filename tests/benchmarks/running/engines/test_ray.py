"""On a real cluster: two nodes of Ray on this machine, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.records import store
from benchmarks.running.engines import cluster, launch

ROOT = Path(__file__).parents[4]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not any(Path(folder, "ray", "cluster_utils.py").exists() for folder in sys.path), reason="ray is not installed"
    ),
]
SMALL = (
    "--device", "cpu", "--steps", "2", "--set", "data.train=24", "--set", "data.validation=6", "--set", "data.test=4",
    "--set", "budget=2steps", "--system", "cosmos,gpt2,mdlm,sedd",
    "--setting", "cosmos:dpmpp_2m-20,gpt2:greedy,mdlm:confidence-24,sedd:analytic-32",
)  # fmt: skip


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of a head and a second node, of one core each; what is started in it finds this checkout."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))))
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    started.second = started.add_node(num_cpus=1)
    yield started
    started.shutdown()


def command(*words: str, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=log.open("wb"),
        # A cache of its own: scores that are found there have their keys in another order than those that are computed.
        env={**os.environ, "HF_HUB_OFFLINE": "1", "COSMOS_CACHE": f"{words[words.index('--out') + 1]}-cache"},
    )


def wait_for(process: subprocess.Popen[bytes], log: Path, words: str, count: int = 1) -> None:
    while log.read_text(errors="replace").count(words) < count:
        assert process.poll() is None, log.read_text()
        time.sleep(0.2)


def made(folder: Path) -> dict[str, bytes]:
    names = (store.SAMPLES, store.SCORES, store.AS_WRITTEN)
    return {str(path.relative_to(folder)): path.read_bytes() for name in names for path in folder.rglob(name)}


def test_two_tasks_and_four_systems_are_made_as_by_one_process_though_a_node_is_killed(
    two_nodes: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    for number, task in enumerate(("question", "detox")):
        words = ("run", "--task", task, *SMALL)
        ray = command(*words, "--out", str(tmp_path / task), "--engine", "ray", "--address", two_nodes.address, log=log)
        if number == 0:
            wait_for(ray, log, "done on", count=3)
            two_nodes.remove_node(two_nodes.second, allow_graceful=False)
        assert ray.wait() == 0, log.read_text()
        if number == 0:
            assert "its worker was lost" in log.read_text()
        local = command(*words, "--out", str(tmp_path / f"{task}-local"), log=log)
        assert local.wait() == 0, log.read_text()
        assert {r.header.status for r in store.read_run(tmp_path / task)} == {"done"}
        assert made(tmp_path / task) == made(tmp_path / f"{task}-local")
        assert {"cosmos", "gpt2", "mdlm", "sedd"} <= {r.header.cell.system for r in store.read_run(tmp_path / task)}


def test_an_interrupt_ends_a_launch_within_seconds_and_nothing_is_left_at_work(two_nodes: Any, tmp_path: Path) -> None:
    log, out = tmp_path / "log", str(tmp_path / "run")
    words = ("run", "--task", "detox", *SMALL, "--set", "budget=100000steps", "--out", out, "--engine", "ray")
    ray = command(*words, "--address", two_nodes.address, log=log)
    wait_for(ray, log, "fit takes")
    time.sleep(5)
    ray.send_signal(signal.SIGINT)
    assert ray.wait(timeout=60) == 130, log.read_text()
    assert log.read_text().endswith("Interrupted; the same command goes on where this one stopped.\n")
    other = command("plan", "--task", "detox", *SMALL, "--out", str(tmp_path / "other"), log=log)
    assert other.wait() == 0
    from benchmarks.records.files import locked

    with locked(tmp_path / "run"):  # no worker holds a cell any more
        pass


def test_who_speaks_as_a_head_does_and_is_none_is_tried_once(tmp_path: Path) -> None:
    """Else Ray tries for most of a minute."""
    settings, kept = bytes((0, 0, 0, cluster._SETTINGS, 0, 0, 0, 0, 0)), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    talk, _ = server.accept()
                except OSError:
                    return
                kept.append(talk)
                talk.sendall(settings)

        threading.Thread(target=serve, daemon=True).start()
        log, address = tmp_path / "log", f"127.0.0.1:{server.getsockname()[1]}"
        words = ("run", "--task", "detox", *SMALL, "--out", str(tmp_path / "run"), "--engine", "ray")
        ray = command(*words, "--address", address, log=log)
        assert ray.wait() == 2, log.read_text()
    said = log.read_text()
    assert said.endswith(f"No Ray cluster answers at {address}; start one with `ray start --head`, or see what "
                         "--address should be.\n")  # fmt: skip
    assert said.count("Failed to get cluster ID") == 1 and not (tmp_path / "run").exists()


def test_what_ray_costs_a_cell(
    two_nodes: Any, planned: Callable[..., Any], quiet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 cells whose stages do nothing: orders are written, given, answered and settled, and that is all."""
    plan = planned(system="toy", setting="fast", seeds="200", limit="1")

    def task(cpus: float, gpus: float) -> Any:
        import ray

        def empty(order: Any, board: Any, key: str) -> Any:
            return "node", {"ending": "done", "said": "", "node": "node", "parcel": None}

        return ray.remote(num_cpus=cpus, max_retries=0)(empty)

    import ray

    cluster.connect(two_nodes.address)
    monkeypatch.setattr(launch, "_task", task)
    monkeypatch.setattr(launch.runner, "prepare", lambda plan, *_, **__: store.write_plan(plan.folder, work_plan(plan)))
    try:
        cells = [p for p in plan.cells if p.cell.system == "toy"]
        assert len(cells) == 200
        started = time.perf_counter()
        assert launch.run(plan, quiet).exit_code == 0
        seconds = time.perf_counter() - started
    finally:
        ray.shutdown()
    print(f"{seconds / len(plan.cells):.4f} s a cell of {len(plan.cells)} empty cells, three stages each")
    assert sum("done on" in line for line in quiet.lines) == 2 * len(plan.cells)
    assert seconds / len(plan.cells) < 1.0


def work_plan(plan: Any) -> Any:
    from benchmarks.planning import plan_file

    return plan_file.describe(plan)
