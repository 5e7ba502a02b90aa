"""`fit` under torchrun: what all processes leave is what one does, and however one ends all do, with one sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.cli.main import _run
from benchmarks.records import store

ROOT = Path(__file__).parents[4]
OUTSIDE = ROOT / "tests/benchmarks/outside"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")
ACCELERATE = (sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2")
TOY = ("fit", "--task", "echo", "--system", "toy", "--device", "cpu")
REAL = (
    "benchmarks", "fit", "--task", "detox", "--system", "gpt2,cosmos", "--device", "cpu", "--set", "data.train=64",
)  # fmt: skip


def environment(installed: Path) -> dict[str, str]:
    path = os.pathsep.join(map(str, (ROOT, OUTSIDE, installed)))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def launched(
    installed: Path, words: Sequence[object], launcher: Sequence[str] = TORCHRUN
) -> subprocess.CompletedProcess[str]:
    command = [*launcher, *map(str, words)]
    return subprocess.run(command, env=environment(installed), capture_output=True, text=True, cwd=ROOT)


def sentences(errors: str) -> list[str]:
    """What our processes have said of their end; the launcher says what it likes besides."""
    said = ("is being written", "Interrupted", "Another process", "cannot share a batch", "Traceback", "Error")
    ours = errors.partition("torch/distributed/elastic")[0]
    return [line for line in ours.splitlines() if any(part in line for part in said) and "elastic" not in line]


def test_launched_processes_fit_what_one_does_and_a_folder_is_one_launchs_alone(
    installed: Path, tmp_path: Path
) -> None:
    folder, program = tmp_path / "run", Path(__file__).with_name("launched_commands.py")
    done = launched(installed, (folder, *TOY, "--out", folder), (sys.executable, str(program)))
    assert done.returncode == 0, done.stderr
    made, refused = ((tmp_path / name).read_text() for name in ("made", "refused"))
    assert json.loads(done.stdout) == [True, False], made
    assert made.count("run folder") == 1
    assert {header.status for header in store.read_headers(folder)} == {"started"}
    assert len(list((folder / "checkpoints").glob("*.json"))) == 1
    assert len(said := sentences(refused)) == 1 and "is being written by process" in said[0], refused


def test_other_verbs_are_refused_where_processes_are_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for verb in ("run", "generate", "tune"):
        with pytest.raises(UserError, match="share the work of fit and train-decoder alone"):
            _run([verb, "--task", "detox"])


@pytest.mark.slow
def test_accelerate_launches_as_torchrun_does_and_one_process_where_it_is_told_cpu(
    installed: Path, tmp_path: Path
) -> None:
    words = (*REAL[:5], "gpt2", *REAL[6:], "--set", "budget=4steps")
    small = (*words, "--set", "gpt2.recipe.training.batch_size=1")
    two, alone = (*ACCELERATE, "--multi_gpu", "-m"), (*ACCELERATE, "--cpu", "-m")
    losses = []
    for name, launcher in (("two", two), ("one", alone)):
        done = launched(installed, (*words, "--out", tmp_path / name), launcher)
        assert done.returncode == 0 and done.stderr.count("run folder") == 1, done.stderr
        assert done.stderr.count("trained, 4 steps") == 1, done.stderr
        (log,) = (tmp_path / name / "checkpoints").glob("*/training/gpt2.jsonl")
        lines = map(json.loads, log.read_text().splitlines())
        losses.append([value for line in lines for key, value in line.items() if "loss" in key])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0]
    refused = launched(installed, (*small, "--out", tmp_path / "refused"), two)
    assert "2 processes cannot share a batch of 1" in refused.stderr, refused.stderr
    assert launched(installed, (*small, "--out", tmp_path / "small"), alone).returncode == 0


@pytest.mark.slow
def test_ten_launches_in_a_row_end_well(installed: Path, tmp_path: Path) -> None:
    for number in range(10):
        done = launched(installed, (*REAL, "--set", "budget=4steps", "--out", tmp_path / str(number)))
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("trained, 4 steps") == 2, done.stderr


@pytest.mark.slow
def test_ten_trainings_of_an_autoencoder_in_a_row_end_well(installed: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text(
        "".join(
            f"the {a} {b} was on the table beside the {b} and the {a} cup all day .\n"
            for a in ("red", "old")
            for b in ("book", "lamp")
        )
    )
    for number in range(10):
        words = ("cosmos", "train-autoencoder", texts, tmp_path / str(number), "--budget", "3steps", "--device", "cpu")
        done = launched(installed, words)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["steps"] == 3  # one process prints
        assert done.stderr.count("autoencoder   0%") == 1  # and shows how far it is


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_all_and_the_next_command_goes_on(victim: int, installed: Path, tmp_path: Path) -> None:
    words = [
        *REAL[:5], "mdlm", *REAL[6:], "--set", "budget=60steps", "--set", "mdlm.recipe.training.checkpoint_seconds=0",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    process = subprocess.Popen(
        [*TORCHRUN, *words], env=environment(installed), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=ROOT,
    )  # fmt: skip
    point = "*/training/mdlm.resume.safetensors"
    while not list((tmp_path / "run/checkpoints").glob(point)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    workers = [pid for pid in children(process.pid) if f"\0RANK={victim}\0" in Path(f"/proc/{pid}/environ").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert len(sentences(errors)) <= 1, errors
    assert children(process.pid) == []
    done = subprocess.run([sys.executable, "-m", *words], env=environment(installed), capture_output=True, text=True)
    assert done.returncode == 0 and "trained, 60 steps" in done.stderr, done.stderr


def children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
def test_a_batch_with_fewer_rows_than_processes_is_one_sentence(installed: Path, tmp_path: Path) -> None:
    words = (
        *REAL[:5], "gpt2", *REAL[6:], "--set", "budget=4steps", "--set", "gpt2.recipe.training.batch_size=1",
        "--out", tmp_path / "run",
    )  # fmt: skip
    done = launched(installed, words)
    assert done.returncode != 0
    assert len(said := sentences(done.stderr)) == 1 and "2 processes cannot share a batch of 1" in said[0], done.stderr
