"""What large inputs cost, in units of `calibration`: a few rows of many, an index of texts, a report of many cells.

Memory is measured in a process of its own, for it is the most that a process ever had.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baselines.contract import Budget, Corpus, Document, Limits, NoSetting
from baselines.reference.tf_idf import TfIdfIndex
from baselines.reference.trivial import RetrievalSystem
from benchmarks.stats.paired import sign_flip

sys.path.insert(0, str(Path(__file__).parent))
from calibration import unit

MEGABYTES = 1000  # the most that anything here may take
# In units of `calibration`; 0.031, 0.0086, 16, 51 and, a pair, 50 were measured.
ROWS, ROW_UNITS = 1_000_000, 0.08
WORD_UNITS, ASKED_UNITS = 0.03, 50
CELLS, CELL_UNITS = 1000, 150
PAIR_UNITS = 120
LEARNT_UNITS = 0.25
WORDS = [f"word{number}" for number in range(20_000)]

LOAD = """
import sys, time
from benchmarks.data.local import Local, LocalOptions
source = Local(LocalOptions(folder=sys.argv[1], name="mine", train=1000))
started = time.process_time()
assert len(source.load("detox", "test", 100)) == 100 and len(source.load("detox", "train")) == 1000
assert source.content("detox")["files"]["train.parquet"]["rows"] == int(sys.argv[2])
print(time.process_time() - started)
"""
REPORT = """
import sys, time
import reports
import matplotlib.pyplot, pandas
started = time.process_time()
reports.publish(Path(sys.argv[1]))
print(time.process_time() - started)
"""
RETRIEVAL = """
import sys, time
from baselines.contract import Limits, NoSetting, Request
from baselines.reference.trivial import RetrievalSystem
system = RetrievalSystem(NoSetting(), Limits(64, 64))
started = time.process_time()
system.load(Path(sys.argv[1]), device="cpu", dtype="float32")
rows = range(0, int(sys.argv[2]), int(sys.argv[2]) // 20)
asked = [Request(str(n), f"a question of one{n % 1000} and of two{n // 1000}", 0, 64) for n in rows]
assert [sample.text for sample in system.generate(asked, NoSetting())] == [f"answer {n}" for n in rows]
print(time.process_time() - started)
"""

PEAK = """
status = Path("/proc/self/status").read_text()  # of this program alone: what `resource` says begins with its parent's
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def measured(program: str, *given: object) -> tuple[float, float, float]:
    """Seconds of the processor, megabytes at most, and the seconds of a unit beside it."""
    beside = min(unit() for _ in range(9))
    root = Path(__file__).parents[2]
    words = (sys.executable, "-c", f"from pathlib import Path\n{program}{PEAK}", *map(str, given))
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=root)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes, min(beside, *(unit() for _ in range(9)))


@pytest.mark.slow
def test_a_thousand_rows_of_a_million(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for split, count in (("train", ROWS), ("validation", 200), ("test", 200)):
        sources = [f"a source of some fifteen words as they are found in most sets {split} {n}" for n in range(count)]
        columns = {"id": [f"{split}-{n}" for n in range(count)], "source": sources, "target": sources}
        pq.write_table(pa.table(columns), tmp_path / "mine" / f"{split}.parquet", compression="zstd")
    seconds, megabytes, one = measured(LOAD, tmp_path, ROWS)
    print(f"{seconds:.1f} s, {megabytes:.0f} MB, {seconds / ROWS / one:.3f} units a row")
    assert megabytes < MEGABYTES
    assert seconds / ROWS / one < ROW_UNITS


@pytest.mark.slow
def test_an_index_of_many_texts() -> None:
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=120)) for _ in range(20_000)]
    one = min(unit() for _ in range(9))
    started = time.process_time()
    index = TfIdfIndex(texts)
    built = time.process_time() - started
    started = time.process_time()
    assert [index.nearest(text) for text in texts[:20]] == list(range(20))
    asked = (time.process_time() - started) / 20
    print(f"{built:.1f} s, {built / 120 / len(texts) / one:.4f} units a word, {asked / one:.0f} units a question")
    assert built / 120 / len(texts) / one < WORD_UNITS
    assert asked / one < ASKED_UNITS


@pytest.mark.slow
def test_retrieval_from_a_million_rows(tmp_path: Path) -> None:
    filling = itertools.cycle(
        ["some words more of a source", "as they are found in most sets", "and are read here too"]
    )
    questions = [
        f"a question of one{n % 1000} and of two{n // 1000} {next(filling)} {next(filling)}" for n in range(ROWS)
    ]
    documents = [Document(str(n), question, f"answer {n}", ()) for n, question in enumerate(questions)]
    system = RetrievalSystem(NoSetting(), Limits(64, 64))
    started = time.process_time()
    system.fit(Corpus(documents, []), Budget(1, "steps"), tmp_path / "floor", seed=0, device="cpu")
    learnt = time.process_time() - started
    seconds, megabytes, one = measured(RETRIEVAL, tmp_path / "floor", ROWS)
    print(f"{learnt:.1f} + {seconds:.1f} s, {megabytes:.0f} MB, {(learnt + seconds) / ROWS / one:.3f} units a row")
    assert megabytes < MEGABYTES
    assert (learnt + seconds) / ROWS / one < LEARNT_UNITS


@pytest.mark.slow
def test_a_report_of_a_thousand_cells(tmp_path: Path) -> None:
    place = Path(__file__).parents[1] / "reports" / "conftest.py"
    spec = importlib.util.spec_from_file_location("fake_runs", place)
    assert spec is not None and spec.loader is not None
    fake_runs = sys.modules["fake_runs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake_runs)
    seeds = (CELLS - 4) // sum(map(len, fake_runs.CALLS.values()))
    fake = fake_runs.FakeRun(seeds=tuple(range(seeds))).fill()
    assert CELLS - 10 < len(fake.cells) < CELLS + 10
    seconds, megabytes, one = measured(REPORT, fake.write(tmp_path / "run"))
    print(f"{seconds:.1f} s, {megabytes:.0f} MB, {seconds / len(fake.cells) / one:.0f} units a cell")
    assert megabytes < MEGABYTES
    assert seconds / len(fake.cells) / one < CELL_UNITS


@pytest.mark.slow
def test_comparisons_of_many_pairs() -> None:
    """Of 700 texts scored unlike by most, as a report of twenty entries makes them by the hundred."""
    generator = np.random.default_rng(0)
    columns = generator.normal(size=(15, 700))
    pairs = [(a - b) * (generator.random(700) < 0.9) for a, b in itertools.combinations(columns, 2)]
    one = min(unit() for _ in range(9))
    started = time.process_time()
    chances = [sign_flip(differences) for differences in pairs]
    each = (time.process_time() - started) / len(pairs)
    print(f"{1000 * each:.1f} ms, {each / one:.0f} units a pair")
    assert all(0 < chance <= 1 for chance in chances)
    assert each / one < PAIR_UNITS
