"""What judging costs: metrics that need no model, the form that texts are compared in, bootstraps and paired tests."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from benchmarks import metrics
from benchmarks.data import world
from benchmarks.metrics.core.normalisation import normalised
from benchmarks.stats import bootstrap
from benchmarks.stats.paired import sign_flip
from cosmos.text import round_trip

pytestmark = pytest.mark.benchmark(group="judging", timer=time.process_time)

TEXTS = 50
METRICS = ("exact_j", "rouge_l", "bleu", "chrf", "distinct_2", "copy_rate", "length")


@pytest.fixture(scope="module")
def batch() -> metrics.MetricInput:
    documents = world.detox("test", TEXTS)
    texts = [document.source if n % 2 else document.target for n, document in enumerate(documents)]
    training = [document.target for document in world.detox("train", 200)]
    return metrics.MetricInput("detox", "world", documents, texts, training=training)


@pytest.mark.parametrize("name", METRICS)
def test_metric(benchmark: Any, batch: metrics.MetricInput, name: str) -> None:
    """50 texts, with the interval."""
    [score] = benchmark(lambda: metrics.score(batch, [name]))
    assert score.value is not None and score.n == TEXTS


def test_normaliser(benchmark: Any, batch: metrics.MetricInput) -> None:
    """50 texts and their documents through the tokenizer and back."""
    from dataclasses import replace

    through = replace(batch, normaliser=round_trip.find(None))
    made = benchmark(lambda: normalised(through))
    assert len(made.texts) == TEXTS


def test_bootstrap(benchmark: Any) -> None:
    """2,000 draws of 700 texts, each a row of ten sums as corpus BLEU has."""
    rows = np.random.default_rng(0).random((700, 10))
    found = benchmark(lambda: bootstrap.interval(rows, lambda sums: sums[:, 0] / sums.sum(1)))
    assert found is not None and found.low < 0.1 < found.high


def test_paired_test(benchmark: Any) -> None:
    """Sign flips of 700 differences."""
    differences = np.random.default_rng(0).normal(0.02, 1.0, 700)
    assert 0.0 < benchmark(lambda: sign_flip(differences)) <= 1.0
