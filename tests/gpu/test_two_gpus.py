"""Two GPUs of one host: how much faster than one, and what is the same. `-s` shows the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

PROGRAM = Path(__file__).with_name("timed_on_devices.py")
ROOT = PROGRAM.parents[2]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


@pytest.fixture
def two_gpus() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")


def said(*command: object) -> Any:
    """What the program prints, as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    line = [line for line in done.stdout.splitlines() if line.startswith("{")][-1]
    print(line)
    return json.loads(line)


@pytest.mark.gpu
@pytest.mark.usefixtures("two_gpus")
def test_two_gpus_make_4096_texts_in_little_more_than_half_the_time_and_the_same_bytes(tmp_path: Path) -> None:
    one = said(sys.executable, PROGRAM, "generate", tmp_path, "cuda:0")
    two = said(sys.executable, PROGRAM, "generate", tmp_path, "cuda:0,cuda:1")
    assert one["texts"] == two["texts"] == 4096
    assert one["sha256"] == two["sha256"]
    assert two["texts_per_second"] >= 1.9 * one["texts_per_second"]


@pytest.mark.gpu
@pytest.mark.usefixtures("two_gpus")
def test_two_gpus_train_the_base_denoiser_nearly_twice_as_fast(tmp_path: Path) -> None:
    one = said(sys.executable, PROGRAM, "train", tmp_path / "one")
    two = said(*TORCHRUN, 2, PROGRAM, "train", tmp_path / "two")
    assert two["preparation"]["recorded"] == one["preparation"]["recorded"]
    assert two["loss"] == pytest.approx(one["loss"], rel=0.02)
    assert two["rows_per_second"] >= 1.8 * one["rows_per_second"]


@pytest.mark.gpu
@pytest.mark.usefixtures("two_gpus")
def test_recorded_steps_of_two_gpus_give_the_curve_of_one(tmp_path: Path) -> None:
    """At nano, in float32, steps recorded as CUDA graphs in both."""
    words = ("curve", "--preset", "nano", "--steps", 50)
    one = said(sys.executable, PROGRAM, words[0], tmp_path / "one", *words[1:])
    two = said(*TORCHRUN, 2, PROGRAM, words[0], tmp_path / "two", *words[1:])
    assert one["recorded"] and two["recorded"]
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)


@pytest.mark.slow
def test_the_same_work_at_nano_on_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests above do, where there is no GPU: as two processes on the CPU, each with one thread, and no faster.
    Most of its time is that in which nine processes import what they need, so there is little work."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    size = ("--preset", "nano", "--texts", 16)
    one = said(sys.executable, PROGRAM, "generate", tmp_path, "cpu:0", *size)
    two = said(sys.executable, PROGRAM, "generate", tmp_path, "cpu:0,cpu:1", *size)
    assert one["texts"] == two["texts"] == 16 and one["sha256"] == two["sha256"]
    words = ("--preset", "nano", "--steps", 24, "--device", "cpu")
    alone = said(sys.executable, PROGRAM, "train", tmp_path / "alone", *words)
    both = said(*TORCHRUN, 2, PROGRAM, "train", tmp_path / "both", *words)
    assert both["rows"] == alone["rows"] and both["loss"] == pytest.approx(alone["loss"], rel=1e-4)
