"""An autoregressive decoder on latents: p(token | tokens before it, latents), teacher-forced or token by token.

Pre-norm blocks of causal rotary self-attention, cross-attention to the latents and a GELU layer; tied embeddings. Word
by word, keys and values of earlier tokens are kept, and those of the latents are computed once.

Axis legend in `cosmos.blocks`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cosmos.blocks import CrossAttention, GeluFeedForward, RMSNorm, Rotary, SelfAttention, merge_heads, split_heads
from cosmos.config import AutoencoderConfig
from cosmos.vocabulary import CLS, PAD, SEP

LOOK_EVERY, LOOK_EVERY_ON_CPU = 8, 1  # tokens between looks at whether all rows have ended, which wait for the device


class Kept(NamedTuple):
    """Keys and values of the tokens so far, each [B, H, L, D], filled up to the position at hand."""

    keys: Tensor
    values: Tensor


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention to latents, feed-forward; each residual."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.norm, self.cross_norm = RMSNorm(config.width), RMSNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads)
        self.cross_attention = CrossAttention(config.width, config.heads)
        self.feed_forward = GeluFeedForward(config.width, config.feed_forward * config.width, config.dropout)

    def forward(self, x: Tensor, rotary: Rotary, memory: tuple[Tensor, Tensor]) -> Tensor:
        """All positions at once: x [B, L, W] -> [B, L, W]."""
        x = x + self.attention(self.norm(x), rotary, causal=True)
        x = x + self.cross_attention(self.cross_norm(x), memory)
        return x + self.feed_forward(x)

    def step(self, x: Tensor, rotary: Rotary, memory: tuple[Tensor, Tensor], kept: Kept, place: int) -> Tensor:
        """One position: x [B, 1, W] at `place` -> [B, 1, W]; `kept` is filled there."""
        parts = self.attention.to_qkv(self.norm(x)).chunk(3, -1)
        query, key, value = (split_heads(part, self.attention.heads) for part in parts)  # [B, H, 1, D]
        kept.keys[:, :, place], kept.values[:, :, place] = rotary(key, place)[:, :, 0], value[:, :, 0]
        past = (kept.keys[:, :, : place + 1], kept.values[:, :, : place + 1])
        attended = functional.scaled_dot_product_attention(rotary(query, place), *past)
        x = x + self.attention.out(merge_heads(attended))
        x = x + self.cross_attention(self.cross_norm(x), memory)
        return x + self.feed_forward(x)


class LatentDecoder(nn.Module):
    """Raw latents [B, N, C] and the tokens before -> logits of the tokens [B, L, V]."""

    def __init__(self, config: AutoencoderConfig, layers: int) -> None:
        super().__init__()
        self.from_latent = nn.Linear(config.latent_width, config.width, bias=False)
        self.latent_positions = nn.Parameter(torch.empty(config.latents, config.width).normal_(std=0.02))
        self.latent_norm = RMSNorm(config.width)
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.tokens.weight, std=config.width**-0.5)
        # Absolute, to find the latents that hold this part of the text; tokens find each other by rotary ones.
        self.positions = nn.Parameter(torch.empty(config.max_tokens, config.width).normal_(std=config.width**-0.5))
        self.rotary = Rotary(config.width // config.heads, config.max_tokens)
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(layers))
        self.norm = RMSNorm(config.width)

    def memory(self, latents: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the latents for every block, each [B, H, N, D]."""
        states = self.latent_norm(self.from_latent(latents) + self.latent_positions)  # [B, N, W]
        return [block.cross_attention.keys_values(states) for block in self.blocks]

    def forward(self, tokens: Tensor, memory: list[tuple[Tensor, Tensor]], kept: list[Kept], place: int) -> Tensor:
        """One step: tokens int64 [B] at `place` -> logits of the next ones [B, V]; a network call of generation."""
        x = (self.tokens(tokens) + self.positions[place])[:, None]  # [B, 1, W]
        for block, states, past in zip(self.blocks, memory, kept, strict=True):
            x = block.step(x, self.rotary, states, past, place)
        return self.read(x[:, 0])

    def teach(self, tokens: Tensor, latents: Tensor) -> Tensor:
        """Logits [B, L, V] of what follows each of the tokens int64 [B, L], which begin with [CLS]."""
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]  # [B, L, W]
        for block, states in zip(self.blocks, self.memory(latents), strict=True):
            x = block(x, self.rotary, states)
        return self.read(x)

    def read(self, x: Tensor) -> Tensor:
        """Hidden states [..., W] -> logits [..., V]."""
        return self.norm(x) @ self.tokens.weight.T

    def start(self, batch: int, length: int) -> list[Kept]:
        """Empty room for the keys and values of `length` tokens."""
        weight = self.tokens.weight
        heads = self.blocks[0].attention.heads
        shape = (batch, heads, length, weight.shape[1] // heads)
        return [Kept(weight.new_zeros(shape), weight.new_zeros(shape)) for _ in self.blocks]


def greedy(decoder: LatentDecoder, latents: Tensor, steps: int, known: int) -> Tensor:
    """The most probable token after token: int64 [B, steps], [PAD] after the last call.

    One call a token until every row has ended. On the CPU this is looked at after every token, elsewhere after every
    eighth, because a look waits for the device.

    Args:
        latents: raw [B, N, C], in the decoder's dtype.
        known: tokens from this number on are never chosen; they only fill the table.
    """
    every = LOOK_EVERY_ON_CPU if latents.device.type == "cpu" else LOOK_EVERY
    memory, kept = decoder.memory(latents), decoder.start(len(latents), steps)
    tokens = torch.full((len(latents),), CLS, device=latents.device)
    written = torch.full((len(latents), steps), PAD, device=latents.device)
    for place in range(steps):
        tokens = decoder(tokens, memory, kept, place)[:, :known].argmax(-1)
        written[:, place] = tokens
        if (place + 1) % every == 0 and bool((written == SEP).any(1).all()):
            break
    return written
