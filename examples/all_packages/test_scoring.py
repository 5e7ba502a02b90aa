"""Scores a run by mauve-text, Detoxify and a metric for evaluate, times that by pytest-benchmark, reads it with pandas.

    RUN=runs/detox-world-nano python -m pytest examples/all_packages --benchmark-json runs/scoring.json

JUDGES names other models for roles, such as JUDGES=detoxify=FOLDER,lm=FOLDER; DEVICE where they judge.
"""

import os
from pathlib import Path

import benchmarks

MINE = f"evaluate:{Path(__file__).parent / 'shared_words'}"
METRICS = ("mauve", "detoxify", MINE)


def test_scoring(benchmark):
    run, device = os.environ["RUN"], os.environ.get("DEVICE", "cpu")
    judges = dict(part.split("=", 1) for part in os.environ.get("JUDGES", "").split(",") if part)
    benchmark.pedantic(benchmarks.score, (run,), {"metrics": METRICS, "evaluators": judges, "device": device})
    scores = benchmarks.load(run)
    asked = scores[scores.metric.isin(METRICS)]
    print(asked.pivot_table(index=["system", "setting"], columns="metric", values="value"))
    missing = asked[asked.value.isna()]
    assert missing.empty, missing[["system", "metric", "reason"]].to_string()
