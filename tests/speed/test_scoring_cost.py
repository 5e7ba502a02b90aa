"""Seconds to score 1,000 texts by each metric there is here, and to score them again; `-s` prints the table.

Seconds of the clock, and of the processor, which other work on the machine does not lengthen as much; the bar is in
units of `calibration`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import evaluators, metrics
from benchmarks.data import world
from benchmarks.metrics.core import cache

sys.path.insert(0, str(Path(__file__).parent))
from calibration import unit

TEXTS = 1000
AGAIN_UNITS = 40_000  # about two seconds


@pytest.mark.slow
def test_a_thousand_texts(tmp_path):
    documents = world.detox("test", TEXTS)
    training = [document.target for document in world.detox("train", 4000)]
    texts = [document.source if i % 2 else document.target for i, document in enumerate(documents)]
    chosen = {"paper_lm": "smollm2", "pieces": "minilm"} if evaluators.locate_model("smollm2") else {}
    names = [entry.metric for entry in metrics.available("local", chosen) if entry.works]

    def score(chosen_metrics):
        started, worked = time.perf_counter(), time.process_time()
        found = metrics.score(
            metrics.MetricInput("detox", "local", documents, texts, training=training),
            chosen_metrics,
            cache=tmp_path,
            evaluators=chosen,
        )
        return found, time.perf_counter() - started, time.process_time() - worked

    print(f"\n{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f} at the start; clock, processor, texts")
    for name in names:
        [found], seconds, worked = score([name])
        print(f"{name:30}{seconds:9.2f} s {worked:9.2f} s  {found.n:5} of {found.total}  {found.reason or ''}")
    cache._open.cache_clear()
    found, seconds, worked = score(names)
    print(f"{'all of them again':30}{seconds:9.2f} s {worked:9.2f} s")
    assert all(one.reason is None or one.reason.startswith(("too few", "not run")) for one in found)
    assert worked < AGAIN_UNITS * min(unit() for _ in range(9))
