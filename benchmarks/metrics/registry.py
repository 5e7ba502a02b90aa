"""Names of metrics and where they live. A new metric is one `Metric` in the file of its family and one line here."""

from __future__ import annotations

from importlib import import_module

from baselines.contract import unknown
from benchmarks.metrics.metric import Metric

_METRICS = {
    "sta": "benchmarks.metrics.detox:STA",
    "sim": "benchmarks.metrics.similarity:SIM",
    "fl": "benchmarks.metrics.detox:FL",
    "j": "benchmarks.metrics.detox:J",
    "exact_rudeness": "benchmarks.metrics.exact:RUDENESS",
    "exact_facts": "benchmarks.metrics.exact:FACTS",
    "exact_facts_kept": "benchmarks.metrics.exact:FACTS_KEPT",
    "exact_language": "benchmarks.metrics.exact:LANGUAGE",
    "exact_j": "benchmarks.metrics.exact:J",
    "bleu": "benchmarks.metrics.overlap:BLEU",
    "rouge_l": "benchmarks.metrics.overlap:ROUGE_L",
    "copy_rate": "benchmarks.metrics.surface:COPY_RATE",
    "length": "benchmarks.metrics.surface:LENGTH",
}


def names() -> list[str]:
    """Every metric's name, in the order in which reports show them."""
    return list(_METRICS)


def find(name: str) -> Metric:
    """The metric of this name; `UserError` with the nearest names if there is none."""
    if name not in _METRICS:
        raise unknown("metric", name, _METRICS)
    module, attribute = _METRICS[name].split(":")
    metric = getattr(import_module(module), attribute)
    assert isinstance(metric, Metric), f"{_METRICS[name]} is not a Metric"
    return metric
