"""What the two stages train on: states with tokens, and latents with states of sources.

Batches are trimmed to their longest text, or to the length that is asked for. Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cosmos.data.state_cache import CachedStates
from cosmos.io.errors import UserError
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.batches import Rows


class TextDataset:
    """Texts for the autoencoder: raw states [B, L, T], mask bool [B, L], compact tokens int64 [B, L].

    Raises:
        UserError: the vocabulary and the states come from different tokenizers.
    """

    def __init__(self, states: CachedStates, texts: Sequence[str], vocabulary: Vocabulary, max_tokens: int) -> None:
        encoded = vocabulary.encode(texts, max_tokens)
        if not torch.equal(encoded.mask.sum(1), states.lengths):
            raise UserError("The vocabulary was made with another tokenizer than the text encoder's; make it anew.")
        self.states, self.tokens, self.longest = states, encoded.tokens, max_tokens

    def __len__(self) -> int:
        return len(self.states)

    @property
    def lengths(self) -> Tensor:
        return self.states.lengths

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        length = length or int(self.states.lengths[index].max())
        states, mask = self.states.rows(index, length)
        return {"states": states, "mask": mask, "tokens": _widened(self.tokens[index, :length], length)}


class JoinedDataset:
    """The rows of two lists of texts, one after the other; batches are as those of `TextDataset`."""

    def __init__(self, first: TextDataset, second: TextDataset) -> None:
        self.parts = (first, second)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def lengths(self) -> Tensor:
        return torch.cat([part.lengths for part in self.parts])

    @property
    def longest(self) -> int:
        return max(part.longest for part in self.parts)

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        first, second = self.parts
        later = index >= len(first)
        places = ((first, index[~later]), (second, index[later] - len(first)))
        batches = [part.batch(rows, length) for part, rows in places if len(rows)]
        length = length or max(rows["tokens"].shape[1] for rows in batches)
        wide = [{name: _widened(value, length) for name, value in rows.items()} for rows in batches]
        order = later.long().argsort(stable=True).argsort()  # from the first part's rows, then the second's, to ours
        return {name: torch.cat([rows[name] for rows in wide])[order] for name in wide[0]}


def _widened(value: Tensor, length: int) -> Tensor:
    """Rows [B, L, ...] with zeros up to a length: as padding is, in states, masks and tokens."""
    if value.shape[1] == length:
        return value
    fresh = value.new_zeros(len(value), length, *value.shape[2:])
    fresh[:, : value.shape[1]] = value
    return fresh


class LatentDataset:
    """Texts for the denoiser: raw latents [B, N, C] and, where there are sources, their raw states and mask."""

    def __init__(self, latents: Tensor, sources: CachedStates | None) -> None:
        assert sources is None or len(sources) == len(latents)
        self.latents, self.sources = latents, sources

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def lengths(self) -> Tensor:
        """Of the sources; where there are none, all rows are alike."""
        return torch.ones(len(self), dtype=torch.int64) if self.sources is None else self.sources.lengths

    @property
    def longest(self) -> int:
        return int(self.lengths.max())

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        rows = {"latents": self.latents[index]}
        if self.sources is not None:
            states, mask = self.sources.rows(index, length or int(self.sources.lengths[index].max()))
            rows |= {"source": states, "source_mask": mask}
        return rows
