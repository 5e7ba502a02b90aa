"""Texts judged by a fine-tuned classifier, by hub name or folder: the share that falls into the good class."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.evaluators import Located
from benchmarks.metrics.core.metric import Evaluator, Measured, MetricInput, blank
from benchmarks.metrics.core.model_loading import in_batches, load, padded
from benchmarks.metrics.core.signature import library

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

TOKENS = 512  # the longest text read; the rest is cut
_BUDGET = 4096  # tokens of a batch, with padding
_GOOD = ("neutral", "non-toxic", "nontoxic", "non_toxic", "not toxic", "acceptable", "grammatical")


def good_class(model: Located) -> tuple[int, str]:
    """Number and name of the class to be in: one with a telling name, else the first, as in ParaDetox's own judges."""
    names = json.loads((model.folder / "config.json").read_text()).get("id2label") or {}
    by_number = {int(number): str(name) for number, name in names.items()}
    for number, name in sorted(by_number.items()):
        if name.casefold() in _GOOD:
            return number, name
    return 0, by_number.get(0, "LABEL_0")


def probabilities(batch: MetricInput, role: str, texts: Sequence[str]) -> Array:
    """The probability of each class, shape (n, classes)."""
    model = batch.models[role]

    def make(missing: list[str]) -> Iterable[tuple[list[str], Array]]:
        tokenizer, network = load(model.folder, "AutoModelForSequenceClassification", batch.device)
        if network.config.num_labels < 2:
            raise ValueError(f"{model.name} has one output, and a classifier with two classes or more is needed")
        ids = tokenizer(missing, truncation=True, max_length=TOKENS, verbose=False)["input_ids"]
        fill = tokenizer.pad_token_id or 0
        return in_batches(missing, ids, _BUDGET, lambda some: _run(network, [ids[i] for i in some], fill, batch.device))

    return batch.vectors.of(f"classifier|{model.state}|tokens {TOKENS}|float32", texts, make)


def _run(network: Any, ids: Sequence[Sequence[int]], fill: int, device: str) -> Array:
    import torch

    tokens, mask = padded(ids, fill, device)  # (B, L) both
    with torch.inference_mode():
        logits = network(input_ids=tokens, attention_mask=mask).logits.float()  # (B, classes)
        out: Array = torch.softmax(logits, dim=-1).cpu().numpy()
    return out


def in_good_class(role: str) -> Evaluator:
    """The evaluator that gives 1 where the good class is the likeliest, 0 elsewhere and for blank texts."""
    return Evaluator(
        name=lambda: library("transformers"),
        measure=_measure(role),
        modules=("torch", "transformers"),
        models=(role,),
    )


def _measure(role: str) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        number, name = good_class(batch.models[role])
        present = [text for text in batch.texts if not blank(text)]
        classes = iter(probabilities(batch, role, present).argmax(axis=1) if present else ())
        values = tuple(0.0 if blank(text) else float(next(classes) == number) for text in batch.texts)
        return Measured(values=values, options={"blank": 0, "class": f"{number} {name}", "tokens": TOKENS})

    return measure
