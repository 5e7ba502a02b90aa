"""A run touches no network: every socket is blocked, and it works all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import tasks
from benchmarks.records import store

ROOT = Path(__file__).parents[2]
BLOCKER = """
import socket, sys

class Blocked(RuntimeError):
    pass

def refuse(*args, **kwargs):
    print("NETWORK TOUCHED", file=sys.stderr, flush=True)
    raise Blocked(f"the network was touched: {args} {kwargs}")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
socket.gethostbyname = refuse
"""


def blocked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a Python that cannot reach out, offline switches left to the command itself."""
    (folder / "sitecustomize.py").write_text(BLOCKER)
    variables = {k: v for k, v in os.environ.items() if not k.endswith("_OFFLINE")}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**variables, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HF_HOME": str(folder / "hf")},
    )


def test_the_blocker_blocks(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode != 0
    assert "NETWORK TOUCHED" in done.stderr


@pytest.mark.parametrize(
    "systems",
    [pytest.param("mdlm,copy,reference", id="one"), pytest.param("", id="all", marks=pytest.mark.slow)],
)
def test_a_default_run_touches_no_network(systems: str, tmp_path: Path) -> None:
    """As a newcomer starts it, from documents to the report; only smaller. All contestants take a minute."""
    sizes = ("data.train=60", "data.validation=8", "data.test=6", "budget=2steps")
    small = ("--steps", "2", *(word for size in sizes for word in ("--set", size)))
    asked = ("--system", systems, "--setting", "mdlm:confidence-24") if systems else ()
    done = blocked(tmp_path, "run", "--task", "detox", *asked, *small, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "NETWORK TOUCHED" not in done.stderr
    assert (tmp_path / "run" / "report" / "report.md").exists()
    ran = {r.header.cell.system for r in store.read_run(tmp_path / "run")}
    assert ran >= set(systems.split(",") if systems else tasks.find("detox").systems)
