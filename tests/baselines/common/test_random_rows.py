"""Random rows have story-like lengths, and are rows as systems have them."""

from __future__ import annotations

import torch

from baselines.common.random_rows import lengths_of, tokens_of
from baselines.latent_diffusion.random_stages import RandomTexts
from cosmos.text.vocabulary import PAD, SEP
from cosmos.training.buckets import RaggedDataset


def test_lengths_are_story_like() -> None:
    lengths = lengths_of(4000, 92)
    assert lengths.max() == 92 and lengths.min() >= 9
    assert 60 < lengths.double().mean() < 72


def test_tokens_end_where_they_should() -> None:
    lengths = lengths_of(500, 40)
    tokens = tokens_of(lengths, 40, 500, 2)
    assert torch.equal((tokens != PAD).sum(1), lengths)
    assert (tokens.gather(1, lengths[:, None] - 1) == SEP).all() and (tokens[:, 0] == 2).all()
    assert int(tokens.max()) < 500


def test_texts_are_padded_as_asked() -> None:
    texts = RandomTexts(50, 40, 8, 100)
    assert isinstance(texts, RaggedDataset)
    rows = texts.batch(torch.arange(5), 40)
    assert rows["states"].shape == (5, 40, 8) and torch.equal(rows["mask"].sum(1), texts.lengths[:5])
    assert torch.equal(rows["tokens"] != PAD, rows["mask"])
