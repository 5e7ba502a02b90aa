"""A run that is tracked, killed and taken up again: the same bytes as of one that is not, and each point once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.records import store

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
WORDS = (
    "--task", "detox", "--system", "mdlm", "--setting", "mdlm:confidence-24", "--steps", "2", "--device", "cpu",
    "--set", "data.train=60", "--set", "data.validation=8", "--set", "data.test=2", "--set", "budget=100steps",
    "--set", "mdlm.recipe.training.checkpoint_seconds=0", "--set", "mdlm.recipe.training.batch_size=8",
)  # fmt: skip


def run(folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, *WORDS, "--out", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("tracker", ["tensorboard"], indirect=True)
def test_a_killed_run_goes_on_with_its_curves_and_its_bytes(
    tracker: str, curves: Callable[[Path], dict[str, list[tuple[int, float]]]], tmp_path: Path
) -> None:
    tracked, plain = tmp_path / "tracked", tmp_path / "plain"
    killed = run(tracked, str(HERE / "killed_training.py"), "5", "run", "--track", tracker)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = run(tracked, "-m", "benchmarks", "run", "--track", tracker)
    assert done.returncode == 0 and "is told nothing more" not in done.stderr, done.stderr
    assert run(plain, "-m", "benchmarks", "run").returncode == 0

    found, [log] = curves(tracked), [*tracked.glob("checkpoints/*/training/mdlm.jsonl")]
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for name in ("loss", "validation_loss"):
        kept = [(row["step"], row[name]) for row in rows if name in row]
        assert [step for step, _ in kept] and found[f"mdlm/{name}"] == [(s, pytest.approx(v)) for s, v in kept]
    assert found["training/steps"] == [(100, 100.0)]
    scores = {s.metric: s.value for r in store.read_run(tracked) if r.header.cell.system == "mdlm" for s in r.scores}
    assert found["scores/confidence-2/bleu"][0] == (100, pytest.approx(scores["bleu"], abs=1e-4))
    assert len(found["timings/confidence-2/texts_per_second"]) == 1

    for name in ("checkpoints/*/weights.safetensors", "cells/*/samples.jsonl"):
        mine, others = ({p.relative_to(f): p.read_bytes() for p in f.glob(name)} for f in (tracked, plain))
        assert mine == others and mine

    words = ["score", "--out", str(tracked), "--track", tracker]
    subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, check=True, capture_output=True)
    assert curves(tracked) == found, "nothing is said again"
