"""Sentence embeddings of ParaDetox's own SIM: means of subword vectors learnt from paraphrases (Wieting et al. 2019).

A folder with `sim.pt` (vectors and their subwords) and one sentencepiece model `*.model`, as ParaDetox's evaluation kit
has them, given as `evaluators.similarity`. The checkpoint is a pickle: tensors and plain values are read, no code.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

VECTORS = "sim.pt"
_UNKNOWN = "UUUNKKK"


def is_here(folder: Path) -> bool:
    """Whether a folder holds such a model."""
    return (folder / VECTORS).is_file()


def embed(folder: Path, texts: Sequence[str]) -> Array:
    """Embeddings of texts, length 1, or 0 where no subword is known; shape (n, d).

    A text is lower-cased, cut into Treebank words and those into subwords; unknown ones share a vector if the model has
    one for them, and are left out otherwise.
    """
    import numpy as np
    from nltk.tokenize import TreebankWordTokenizer

    vocabulary, vectors, pieces = _model(folder)
    treebank = TreebankWordTokenizer()
    out = np.zeros((len(texts), vectors.shape[1]))
    for row, text in zip(out, texts, strict=True):
        subwords = pieces.encode(" ".join(treebank.tokenize(text.lower())), out_type=str)
        ids = [vocabulary.get(subword, vocabulary.get(_UNKNOWN)) for subword in subwords]
        present = [number for number in ids if number is not None]
        if present:
            mean = vectors[present].mean(axis=0)
            row[:] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return out


@functools.lru_cache(maxsize=1)
def _model(folder: Path) -> tuple[dict[str, int], Array, Any]:
    import numpy as np
    import sentencepiece
    import torch

    with torch.serialization.safe_globals([argparse.Namespace]):
        loaded = torch.load(folder / VECTORS, map_location="cpu", weights_only=True)
    files = sorted(folder.glob("*.model"))
    if len(files) != 1:
        raise ValueError(f"{folder.name} holds {len(files)} sentencepiece models *.model, and one is needed")
    vectors = np.asarray(loaded["state_dict"]["embedding.weight"], dtype=np.float64)
    return dict(loaded["vocab"]), vectors, sentencepiece.SentencePieceProcessor(model_file=str(files[0]))
