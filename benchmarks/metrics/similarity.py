"""Meaning kept: cosine of sentence embeddings of text and source, by MiniLM (all-MiniLM-L6-v2) or another encoder.

ParaDetox compares output and input, not output and reference (Logacheva et al. 2022, section 6), so this does too; its
embeddings are others, so the values are those of the official script only where its own model is given by its folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.metrics import wieting
from benchmarks.metrics.core.metric import ANYWHERE, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.model_loading import in_batches, load, padded
from benchmarks.metrics.core.signature import library
from benchmarks.metrics.surface import sources

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

TOKENS = 256  # longest text that MiniLM was made for; the rest is cut
DIGITS = 4  # decimals kept: the next ones depend on which texts share a batch
_BUDGET = 2048  # tokens of a batch, with padding


def cosines(batch: MetricInput, left: Sequence[str], right: Sequence[str]) -> Array:
    """The cosine of the embeddings of each pair of texts, shape (n,); -1 to 1."""
    vectors = embed(batch, [*left, *right])
    product: Array = (vectors[: len(left)] * vectors[len(left) :]).sum(axis=1)
    return product


def embed(batch: MetricInput, texts: Sequence[str]) -> Array:
    """The embeddings of texts: last hidden states averaged over tokens, length 1; shape (n, d)."""
    model = batch.models["similarity"]
    if wieting.is_here(model.folder):
        return wieting.embed(model.folder, texts)

    def make(missing: list[str]) -> Iterable[tuple[list[str], Array]]:
        tokenizer, network = load(model.folder, "AutoModel", batch.device)
        ids = tokenizer(missing, truncation=True, max_length=TOKENS, verbose=False)["input_ids"]
        fill = tokenizer.pad_token_id or 0
        return in_batches(missing, ids, _BUDGET, lambda some: _run(network, [ids[i] for i in some], fill, batch.device))

    return batch.vectors.of(f"mean of states|{model.state}|tokens {TOKENS}|float32", texts, make)


def _run(network: Any, ids: Sequence[Sequence[int]], fill: int, device: str) -> Array:
    import torch

    tokens, mask = padded(ids, fill, device)  # (B, L) both
    with torch.inference_mode():
        states = network(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, L, d)
        weights = mask.unsqueeze(-1).to(states.dtype)  # (B, L, 1)
        means = (states * weights).sum(dim=1) / weights.sum(dim=1)  # (B, d)
        out: Array = torch.nn.functional.normalize(means, dim=-1).cpu().numpy()
    return out


def _similarity(batch: MetricInput) -> Measured:
    pairs = zip(batch.texts, sources(batch), strict=True)
    judged = {index: pair for index, pair in enumerate(pairs) if not blank(pair[0])}
    values = [0.0] * len(batch.texts)
    if judged:
        cosines_of = cosines(batch, [text for text, _ in judged.values()], [source for _, source in judged.values()])
        for index, cosine in zip(judged, cosines_of, strict=True):
            values[index] = round(float(cosine), DIGITS)
    reading = {"dtype": "float32", "pooling": "mean", "tokens": TOKENS}
    if wieting.is_here(batch.models["similarity"].folder):
        reading = {"dtype": "float64", "pooling": "mean of subword vectors"}
    return Measured(values=tuple(values), options={"against": "source", "blank": 0, "digits": DIGITS, **reading})


SIM = Metric(
    name="sim",
    summary="Mean cosine of sentence embeddings of text and source; -1 to 1, a blank text has 0.",
    direction="higher",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("transformers"),
            measure=_similarity,
            modules=("torch", "transformers"),
            models=("similarity",),
        )
    },
)
