"""Scores on a GPU are those on the CPU."""

from __future__ import annotations

import pytest
import torch

from benchmarks import metrics
from benchmarks.data import world
from benchmarks.metrics.core import cache, model_loading


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["perplexity", "sta", "fl", "sim", "detoxify", "bertscore", "mauve"])
def test_a_gpu_judges_as_the_cpu_does(name, roles):
    metric = metrics.find(name).evaluator("local")
    for module in metric.modules:
        pytest.importorskip(module, reason=f"{name} needs {module}, of the extra eval")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    documents = world.detox("test", 60)
    texts = [document.source for document in documents]
    found = {}
    for device in ("cpu", "cuda"):
        cache._open.cache_clear()
        model_loading.load.cache_clear()
        [found[device]] = metrics.score(
            metrics.MetricInput("detox", "local", documents, texts, device=device), [name], evaluators=roles
        )
    assert found["cuda"].reason is None
    assert found["cuda"].value == pytest.approx(found["cpu"].value, rel=1e-3, abs=1e-3)
