"""An autoregressive decoder on latents: p(token | tokens before it, latents), teacher-forced or token by token.

Pre-norm blocks of causal rotary self-attention, cross-attention to the latents and a GELU layer; tied embeddings. Token
by token it is served as all autoregressive networks are (`baselines.autoregressive.decoding`): keys and values of
earlier tokens are kept, and those of the latents, computed once, take the place of a prompt.

Axis legend in `cosmos.models.blocks`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.autoregressive.beam import Beam, search
from baselines.autoregressive.decoding import Decoding, KVCacheDecoder, attend, locate
from cosmos.config import AutoencoderConfig
from cosmos.models.blocks import CrossAttention, GeluFeedForward, RMSNorm, Rotary, SelfAttention, turn
from cosmos.runtime.capture import Capture
from cosmos.text.vocabulary import CLS

ALIGNED = 2.0  # how much more than by chance a position looks at its latent


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention to latents, feed-forward; each residual.

    A step, of one position per row, is `before` and `after` its attention to earlier tokens.
    """

    compiles: ClassVar[tuple[str, ...]] = ("before", "after")  # of a step; see `cosmos.runtime.compilation`

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.norm, self.cross_norm = RMSNorm(config.width), RMSNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads)
        self.cross_attention = CrossAttention(config.width, config.heads)
        self.feed_forward = GeluFeedForward(config.width, config.feed_forward * config.width, config.dropout)

    def forward(self, x: Tensor, rotary: Rotary, latent_kv: tuple[Tensor, Tensor]) -> Tensor:
        """All positions at once: x [B, L, W] -> [B, L, W]."""
        x = x + self.attention(self.norm(x), rotary, causal=True)
        x = x + self.cross_attention(self.cross_norm(x), latent_kv)
        return x + self.feed_forward(x)

    def before(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, W], turned by cos and sin, each [B, 1, D] -> the query [B, H, D], and key and value [B, 2, H, D]."""
        mapped = self.attention.to_qkv(self.norm(x)).unflatten(-1, (3, self.attention.heads, -1))  # [B, 3, H, D]
        query, key, value = mapped.unbind(1)
        return turn(query, cos, sin), torch.stack((turn(key, cos, sin), value), 1)

    def after(self, x: Tensor, attended: Tensor, latent_kv: Tensor) -> Tensor:
        """What was attended to [B, W], and keys and values of the latents [B, 2, H, N, D] -> [B, W]."""
        x = x + self.attention.out(attended)
        x = x + self.cross_attention(self.cross_norm(x)[:, None], (latent_kv[:, 0], latent_kv[:, 1]))[:, 0]
        return x + self.feed_forward(x)


class LatentDecoder(nn.Module):
    """Raw latents [B, N, C] and the tokens before -> logits of the tokens [B, L, V]."""

    compiles: ClassVar[tuple[str, ...]] = ("lm_head",)  # besides blocks; see `cosmos.runtime.compilation`

    def __init__(self, config: AutoencoderConfig, layers: int) -> None:
        super().__init__()
        self.from_latent = nn.Linear(config.latent_width, config.width, bias=False)
        self.latent_positions = nn.Parameter(torch.empty(config.latents, config.width).normal_(std=config.width**-0.5))
        self.latent_norm = RMSNorm(config.width)
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.tokens.weight, std=config.width**-0.5)
        # Absolute, to find the latents that hold this part of the text; tokens find each other by rotary ones.
        self.positions = nn.Parameter(torch.empty(config.max_tokens, config.width).normal_(std=config.width**-0.5))
        self.rotary = Rotary(config.width // config.heads, config.max_tokens)
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(layers))
        self.norm = RMSNorm(config.width)

    @torch.no_grad()
    def align(self) -> None:
        """Let each position look from the start at the latent that `cosmos.models.linear_init` gives the next token:
        both get the same vector, and keys are made as queries are."""
        latents, positions = len(self.latent_positions), len(self.positions)
        each = -(-positions // latents)
        nexts = (torch.arange(positions, device=self.positions.device) + 1).clamp_max(positions - 1)
        self.positions.copy_(ALIGNED * self.latent_positions[nexts // each])
        self.latent_positions.mul_(0.5 * self.latent_positions.shape[1] ** 0.5)  # the scale of mapped latents
        for block in self.blocks:
            attention = block.cross_attention
            attention.to_query.weight.mul_(ALIGNED)
            attention.to_kv.weight[: len(attention.to_query.weight)] = attention.to_query.weight

    def latent_kv(self, latents: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the latents for every block, each [B, H, N, D]."""
        states = self.latent_norm(self.from_latent(latents) + self.latent_positions)  # [B, N, W]
        return [block.cross_attention.keys_values(states) for block in self.blocks]

    def forward(self, tokens: Tensor, kv_cache: list[Tensor], positions: Tensor, attended_length: int) -> Tensor:
        """One step, a network call of generation, as `baselines.autoregressive.decoding.CachedNetwork` has it."""
        x = self.tokens(tokens) + self.positions[positions]  # [B, W]
        (cos, sin), at = self.rotary.at(positions), locate(positions, attended_length, x.dtype)
        token_caches, latent_caches = kv_cache[: len(self.blocks)], kv_cache[len(self.blocks) :]
        for block, token_cache, latent_kv in zip(self.blocks, token_caches, latent_caches, strict=True):
            query, fresh = block.before(x, cos, sin)
            x = block.after(x, attend(query, fresh, token_cache, at), latent_kv)
        return self.lm_head(x)

    def kv_cache(self, rows: int, positions: int) -> list[Tensor]:
        """Of every block, for tokens [rows, positions, 2, H, D], then for latents [rows, 2, H, N, D]."""
        zeros, heads = self.tokens.weight.new_zeros, self.blocks[0].attention.heads
        latents, size = len(self.latent_positions), self.latent_positions.shape[1] // heads
        caches = [zeros(rows, positions, 2, heads, size) for _ in self.blocks]
        return caches + [zeros(rows, 2, heads, latents, size) for _ in self.blocks]

    def remember(self, latents: Tensor, kv_cache: list[Tensor]) -> None:
        """Fill the cache's part for latents [B, N, C]."""
        for states, part in zip(self.latent_kv(latents), kv_cache[len(self.blocks) :], strict=True):
            part[:, 0], part[:, 1] = states

    def teach(self, tokens: Tensor, latents: Tensor) -> Tensor:
        """Logits [B, L, V] of what follows each of the tokens int64 [B, L], which begin with [CLS]."""
        return self.hidden(tokens, latents) @ self.tokens.weight.T

    def hidden(self, tokens: Tensor, latents: Tensor) -> Tensor:
        """What enters the token head of `teach`, [B, L, W]."""
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]  # [B, L, W]
        for block, states in zip(self.blocks, self.latent_kv(latents), strict=True):
            x = block(x, self.rotary, states)
        return self.norm(x)

    def lm_head(self, x: Tensor) -> Tensor:
        """Hidden states [..., W] -> logits [..., V]."""
        return self.norm(x) @ self.tokens.weight.T


@torch.inference_mode()
def greedy(
    kv_decoder: KVCacheDecoder, latents: Tensor, steps: int, vocabulary_size: int, capture: Capture = "off"
) -> Tensor:
    """The most probable token after token: int64 [B, steps], [PAD] after the end token.

    Args:
        kv_decoder: of a `LatentDecoder`.
        latents: raw [B, N, C], in the decoder's dtype.
        vocabulary_size: tokens from this number on are never chosen; they only fill the table.
    """
    setting, count = Decoding(greedy=True, capture=capture), len(latents)
    kv_decoder.prepare(setting, count, vocabulary_size)
    kv_decoder.network.remember(latents, kv_decoder.of_rows(count))
    start = torch.full((count,), CLS, device=latents.device)
    return kv_decoder.decode(start, torch.zeros_like(start), 0, steps, setting, None, vocabulary_size=vocabulary_size)


@torch.inference_mode()
def beam_search(kv_decoder: KVCacheDecoder, latents: Tensor, steps: int, vocabulary_size: int, setting: Beam) -> Tensor:
    """As `greedy`, the best text that a search finds; the decoder must have a cache for B * K rows."""
    kv_decoder.network.remember(latents, kv_decoder.of_rows(len(latents)))
    start = torch.full((len(latents),), CLS, device=latents.device)
    return search(kv_decoder, start, torch.zeros_like(start), 0, steps, setting, vocabulary_size=vocabulary_size)
