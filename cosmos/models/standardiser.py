"""Standardised states of the frozen text encoder: one mean and one deviation per dimension, stored with the weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cosmos.text.encoder import Statistics, TextEncoder


class Standardiser(nn.Module):
    """(h - mean) / std for each of the T dimensions (cosmos.md 1.1), zero where there is no token."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    @classmethod
    def of(cls, statistics: Statistics) -> Standardiser:
        standardiser = cls(len(statistics.mean))
        standardiser.load_state_dict(statistics._asdict())
        return standardiser

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states [B, L, T] and mask bool [B, L] -> standardised states [B, L, T]."""
        return ((states - self.mean) / self.std).masked_fill(~mask[:, :, None], 0.0)

    def encode(
        self, encoder: TextEncoder, texts: Sequence[str], max_tokens: int, static: bool
    ) -> tuple[Tensor, Tensor]:
        """Standardised states [B, L, T] of texts and mask bool [B, L]; L is that of the longest text, or `max_tokens`
        where shapes are static, as those of a captured call."""
        states, mask, _ = encoder.encode(texts, max_tokens, pad_to=max_tokens if static else None)
        mask = mask.to(self.mean.device)
        return self(states.to(self.mean.device), mask), mask
