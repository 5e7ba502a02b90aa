"""What records cost: lines written and read, a timed call, a report of 1,000 cells; and how soon help comes."""

from __future__ import annotations

import importlib.util
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import reports
from baselines.contract import Request, Sample
from benchmarks.records import seals, store
from benchmarks.records.files import Appender
from benchmarks.records.schema import SampleRecord
from benchmarks.timing.clock import Clock
from benchmarks.timing.protocol import timed

pytestmark = pytest.mark.benchmark(group="recording", timer=time.process_time)

ROOT = Path(__file__).parents[3]
LINES, CELLS, BATCH = 1000, 1000, 25


def of_children() -> float:
    """Seconds of the processor that programs took which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def samples() -> list[SampleRecord]:
    return [
        SampleRecord(f"test-{n:06d}", f"A text of {n} words or so.", 7, True, n, {"denoiser": 8}) for n in range(LINES)
    ]


def test_store_append(benchmark: Any, tmp_path: Path) -> None:
    """1,000 lines in batches of 25, as a cell of so many texts leaves them."""
    rows = list(map(seals.sample_row, samples()))

    def write() -> None:
        with Appender(tmp_path / store.SAMPLES) as lines:
            for start in range(0, LINES, BATCH):
                lines.append(rows[start : start + BATCH])

    benchmark.pedantic(
        write, setup=lambda: (tmp_path / store.SAMPLES).unlink(missing_ok=True), rounds=20, warmup_rounds=1
    )
    assert len(store.read_samples(tmp_path)) == LINES


def test_store_read(benchmark: Any, tmp_path: Path) -> None:
    """1,000 samples, checked field by field."""
    with Appender(tmp_path / store.SAMPLES) as lines:
        lines.append(map(seals.sample_row, samples()))
    assert benchmark(lambda: store.read_samples(tmp_path)) == tuple(samples())


class Null:
    """Returns at once; its network is never called, but has hooks."""

    def __init__(self) -> None:
        self.network = torch.nn.Linear(1, 1)

    def networks(self) -> dict[str, Any]:
        return {"network": self.network}

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        return [Sample(request.id, "a text of some ten words or so, as there are", 12, True) for request in requests]


def test_timed_call(benchmark: Any) -> None:
    """The harness around a call of 25 texts that returns at once."""
    system, clock = Null(), Clock("cpu")
    asked = [Request(f"world-detox-test-{n:06d}", "a source of some ten words", n, 40) for n in range(BATCH)]
    assert len(benchmark(lambda: timed(system, system.networks(), asked, None, clock)).samples) == BATCH  # type: ignore[arg-type]


def fake_runs() -> Any:
    """The module that makes up whole runs for the tests of reports."""
    spec = importlib.util.spec_from_file_location("fake_runs", ROOT / "tests" / "reports" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["fake_runs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_report_of_a_thousand_cells(benchmark: Any, tmp_path: Path) -> None:
    module = fake_runs()
    seeds = (CELLS - 4) // sum(map(len, module.CALLS.values()))
    fake = module.FakeRun(seeds=tuple(range(seeds))).fill()
    folder = fake.write(tmp_path / "run")
    _, written = benchmark.pedantic(lambda: reports.publish(folder), rounds=2)
    assert all(Path(path).stat().st_size for path in written.values())


@pytest.mark.benchmark(group="recording", timer=of_children)
@pytest.mark.parametrize("words", [("--help",), ("run", "--help")], ids=" ".join)
def test_help(benchmark: Any, words: tuple[str, ...]) -> None:
    """A start of the command."""
    command = [sys.executable, "-m", "benchmarks", *words]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT), rounds=7, warmup_rounds=1
    )
    assert "usage: python -m benchmarks" in done.stdout
