"""Token rows for systems that write tokens: sources, targets, padding, and cutting at the end token.

A source and a target each end with [SEP], the end token, and are padded with [PAD] after it. Without a source a row
begins with a lone [SEP]. Limits are those of the task, which count a [CLS] that these rows do not have: so every system
cuts the same texts at the same word.

Axis legend: B rows (texts), S source positions, L positions.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from baselines.contract import Document, Limits, Request, Sample
from cosmos.text.vocabulary import PAD, SEP, Vocabulary, before_end
from cosmos.training.loop import Rows


@dataclass(frozen=True)
class TokenPairs:
    """Encoded documents, padded: sources int64 [n, S], targets int64 [n, L]; and how many of each were cut."""

    sources: Tensor
    targets: Tensor
    cut_sources: int
    cut_targets: int


def encode_sources(texts: Sequence[str | None], vocabulary: Vocabulary, limits: Limits) -> tuple[Tensor, int]:
    """Sources with their [SEP], int64 [n, S], and how many were cut; [n, 1] where the task has none."""
    if limits.source_tokens == 0:
        return torch.full((len(texts), 1), SEP), 0
    assert all(text is not None for text in texts), "a conditional task has a source in every request"
    return _encode([str(text) for text in texts], vocabulary, limits.source_tokens)


def _encode(texts: Sequence[str], vocabulary: Vocabulary, max_tokens: int) -> tuple[Tensor, int]:
    tokens, _, cut = vocabulary.encode(texts, max_tokens)
    return tokens[:, 1:], cut  # without [CLS]


def encode_pairs(documents: Sequence[Document], vocabulary: Vocabulary, limits: Limits) -> TokenPairs:
    sources, cut_sources = encode_sources([document.source for document in documents], vocabulary, limits)
    targets, cut_targets = _encode([document.target for document in documents], vocabulary, limits.target_tokens)
    return TokenPairs(sources, targets, cut_sources, cut_targets)


def lengths(tokens: Tensor) -> Tensor:
    """Tokens of each row that are not padding, int64 [B]."""
    return (tokens != PAD).sum(1)


def trim(tokens: Tensor) -> Tensor:
    """Drop the columns on the right that are padding in every row (at least one column stays)."""
    return tokens[:, : max(1, int(lengths(tokens).max()))] if len(tokens) else tokens


def join(sources: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of a source and right after it the target, int64 [B, S + L], and where targets begin and end, [B]."""
    starts, ends = lengths(sources), lengths(sources) + lengths(targets)
    rows = torch.cat([sources, torch.full_like(targets, PAD)], 1)  # [B, S + L]
    place = starts[:, None] + torch.arange(targets.shape[1])  # [B, L]
    return trim(rows.scatter(1, place, targets)), starts, ends


def left_pad(tokens: Tensor) -> Tensor:
    """Move the padding of each row from its right to its left."""
    shift = tokens.shape[1] - lengths(tokens)
    place = torch.arange(tokens.shape[1], device=tokens.device) - shift[:, None]
    return tokens.gather(1, place % tokens.shape[1])


class TokenDataset:
    """Tensors by name, int64 [n, L] padded token rows or [n] (`cosmos.training.loop.Dataset`); batches are trimmed to
    their longest row.

    Attributes:
        ragged: the one whose rows have lengths of their own (`cosmos.training.buckets.RaggedDataset`).
        longest: positions that a row of it may have at most; by default those of the longest row.
    """

    def __init__(self, tensors: Mapping[str, Tensor], ragged: str, longest: int | None = None) -> None:
        assert len({len(tensor) for tensor in tensors.values()}) == 1
        self.tensors, self.ragged = dict(tensors), ragged
        self.lengths = lengths(self.tensors[ragged])
        self.longest = longest or self.tensors[ragged].shape[1]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        rows = {name: tensor[index] for name, tensor in self.tensors.items()}
        trimmed = {name: trim(tensor) if tensor.ndim == 2 else tensor for name, tensor in rows.items()}
        if length is None:
            return trimmed
        added = length - trimmed[self.ragged].shape[1]
        return {**trimmed, self.ragged: functional.pad(trimmed[self.ragged], (0, added), value=PAD)}


def samples_from_tokens(
    requests: Sequence[Request], tokens: Tensor, vocabulary: Vocabulary, *, whole: bool = False
) -> list[Sample]:
    """Samples from generated rows int64 [B, L]: each is cut at its first end token or after its `max_tokens`.

    The end token counts against the limit, as it does in training.

    Args:
        whole: whether the network learnt to write whole rows, so that what follows the end is of the sample's sequence.
    """
    rows = tokens.numpy(force=True)
    if len(rows) == 1:  # a third of the time that reading all at once takes for one
        return [_sample(*requests, rows[0], vocabulary, whole)]
    counts, finished = before_end(rows, np.array([request.max_tokens for request in requests], dtype=np.int64))
    kept = np.full(len(rows), rows.shape[1]) if whole else counts + finished
    columns = (vocabulary.texts(rows, counts), counts.tolist(), finished.tolist(), as_arrays(rows, kept))
    each = zip(requests, *columns, strict=True)
    return [Sample(asked.id, text, count, end, row) for asked, text, count, end, row in each]


def _sample(request: Request, row: npt.NDArray[np.int64], vocabulary: Vocabulary, whole: bool) -> Sample:
    """The sample of one row of ids [L]; as `samples_from_tokens` of one."""
    ids = row.tolist()
    within = min(request.max_tokens, len(ids))
    finished = SEP in ids[:within]
    count = ids.index(SEP) if finished else within
    kept = row if whole else row[: count + finished]
    return Sample(request.id, vocabulary.text(ids[:count]), count, finished, array("q", kept.tobytes()))


def as_arrays(rows: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]) -> list[array[int]]:
    """The first `kept` [B] ids of each row [B, L], as memory holds them: quicker made than tuples, and known to be
    integers without a look at each."""
    held, width = np.ascontiguousarray(rows, dtype=np.int64).tobytes(), 8 * rows.shape[1]
    return [array("q", held[row * width : row * width + own]) for row, own in enumerate((8 * kept).tolist())]
