"""What the two stages train on: states with tokens, and latents with states of sources.

Batches are trimmed to their longest text, or to the length that is asked for. Of states that are computed in the loop a
batch has the tokens instead, under another name (`cosmos.data.loop_states`). Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from cosmos.data.loop_states import IDS, LoopStates
from cosmos.data.state_cache import CachedStates
from cosmos.io.errors import UserError
from cosmos.text.vocabulary import PAD, Vocabulary
from cosmos.training.batches import Dataset, Rows

TextStates = CachedStates | LoopStates
"""States of a list of texts, stored or computed in the loop."""


class TargetDataset(Dataset, Protocol):
    """Texts that an autoencoder learns from: raw states [B, L, T], mask bool [B, L], compact tokens int64 [B, L].

    Attributes:
        longest: the most tokens that a text may have.
    """

    states: TextStates
    longest: int

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, int64 [number of texts]."""
        ...

    def batch(self, index: Tensor, length: int | None = None) -> Rows: ...


class TextDataset:
    """Texts whose states are stored.

    Raises:
        UserError: the vocabulary and the states come from different tokenizers.
    """

    def __init__(self, states: CachedStates, texts: Sequence[str], vocabulary: Vocabulary, max_tokens: int) -> None:
        encoded = vocabulary.encode(texts, max_tokens)
        if not torch.equal(encoded.mask.sum(1), states.lengths):
            raise UserError("The vocabulary was made with another tokenizer than the text encoder's; make it anew.")
        self.states, self.tokens, self.longest = states, encoded.tokens, max_tokens

    @classmethod
    def of_tokens(cls, states: CachedStates, tokens: Tensor, max_tokens: int) -> TextDataset:
        """Of compact tokens int64 [n, L] that are known."""
        texts = cls.__new__(cls)
        texts.states, texts.tokens, texts.longest = states, tokens, max_tokens
        return texts

    def __len__(self) -> int:
        return len(self.states)

    @property
    def lengths(self) -> Tensor:
        return self.states.lengths

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        length = length or self.states.longest_of(index)
        tokens = _widened(self.tokens[index, :length], length)
        return {**self.states.batch(index, length, "states", "mask"), "tokens": tokens}


class LoopTextDataset:
    """Texts whose states are computed in the loop.

    Raises:
        UserError: as `TextDataset`.
    """

    def __init__(self, states: LoopStates, vocabulary: Vocabulary) -> None:
        if vocabulary.tokenizer.to_str() != states.encoder.tokenizer.to_str():
            raise UserError("The vocabulary was made with another tokenizer than the text encoder's; make it anew.")
        self.states, self.to_compact, self.longest = states, vocabulary.to_compact, states.limit

    def __len__(self) -> int:
        return len(self.states)

    @property
    def lengths(self) -> Tensor:
        return self.states.lengths

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        length = length or self.states.longest_of(index)
        rows = self.states.batch(index, length, "states", "mask")
        return {**rows, "tokens": self.to_compact[rows[f"states{IDS}"]].masked_fill_(~rows["mask"], PAD)}


class JoinedDataset:
    """The rows of two lists of texts, one after the other; batches are as those of either."""

    def __init__(self, first: TargetDataset, second: TargetDataset) -> None:
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
    """Texts for the denoiser: raw latents [B, N, C] and, where there are sources, their raw states and mask.

    Latents that are computed in the loop are those of `latents`, a data set of targets, whose rows a batch has instead.
    """

    def __init__(self, latents: Tensor | TargetDataset, sources: TextStates | None) -> None:
        assert sources is None or len(sources) == len(latents)
        self.latents, self.sources = latents, sources

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def lengths(self) -> Tensor:
        """Of what differs from row to row: of the targets where latents are computed in the loop, of the sources where
        they are not; where there is neither, all rows are alike."""
        if not isinstance(self.latents, Tensor):
            return self.latents.lengths
        return torch.ones(len(self), dtype=torch.int64) if self.sources is None else self.sources.lengths

    @property
    def longest(self) -> int:
        return int(self.lengths.max()) if isinstance(self.latents, Tensor) else self.latents.longest

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        in_loop = not isinstance(self.latents, Tensor)
        rows = self.latents.batch(index, length) if in_loop else {"latents": self.latents[index]}
        if self.sources is not None:
            # Where the length that is asked for is that of targets, sources are padded as far as any needs.
            wanted = int(self.sources.lengths.max()) if in_loop and length else length
            rows |= self.sources.batch(index, wanted or self.sources.longest_of(index), "source", "source_mask")
        return rows
