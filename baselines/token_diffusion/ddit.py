"""The network of the published MDLM and SEDD weights: a diffusion transformer over tokens (DDiT, of Lou et al., 2024).

Layer norms without bias, whose outputs are scaled and shifted by maps of the noise level (adaLN, of Peebles and Xie,
2023), rotary positions, and a GELU feed-forward four times as wide; embeddings and the output head are apart. Names of
the parts are those of the published files. It stands where a `TokenDenoiser` does, takes no source, and knows tokens by
compact ids.

Axis legend: B rows (texts), L positions, W width, V tokens, C width of the noise level's embedding.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.token_diffusion.masked import LogLinear
from baselines.token_diffusion.reading import LogitReading
from cosmos.models.blocks import Rotary, TimeInputs, merge_heads, sinusoid, split_heads

FREQUENCIES, MAX_PERIOD = 256, 10_000.0  # of the noise level's embedding
INNER = 4  # widths inside the feed-forward
SCHEDULE = LogLinear()  # both methods' noise, by which a time becomes a noise level


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x [B, L, W], scaled by 1 + `scale` and shifted, both [B, 1, W]."""
    return x * (1.0 + scale) + shift


class DDiTBlock(nn.Module):
    """Attention and feed-forward, each between a modulated norm and a gate."""

    def __init__(self, width: int, heads: int, condition: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(width, INNER * width), nn.GELU(approximate="tanh"), nn.Linear(INNER * width, width)
        )
        self.adaLN_modulation = nn.Linear(condition, 6 * width)

    def forward(self, x: Tensor, modulation: Tensor, rotary: Rotary) -> Tensor:
        """x [B, L, W] and what `adaLN_modulation` makes of the embedded noise level, [B, 1, 6 * W] -> [B, L, W]."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation.chunk(6, -1)  # each [B, 1, W]
        mapped = self.attn_qkv(modulated(self.norm1(x), shift, scale))
        query, key, value = (split_heads(part, self.heads) for part in mapped.chunk(3, -1))
        attended = functional.scaled_dot_product_attention(rotary(query), rotary(key), value)
        x = x + gate * self.attn_out(merge_heads(attended))
        return x + mlp_gate * self.mlp(modulated(self.norm2(x), mlp_shift, mlp_scale))


class _Embedding(nn.Module):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(vocabulary, width))


class _NoiseLevel(nn.Module):
    def __init__(self, condition: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, condition), nn.SiLU(), nn.Linear(condition, condition))


class _Output(nn.Module):
    def __init__(self, vocabulary: int, width: int, condition: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, bias=False)
        self.linear = nn.Linear(width, vocabulary)
        self.adaLN_modulation = nn.Linear(condition, 2 * width)


class DDiT(nn.Module):
    """Logits at every position of a noisy sequence."""

    def __init__(self, vocabulary: int, length: int, width: int, blocks: int, heads: int, condition: int) -> None:
        super().__init__()
        self.vocab_embed = _Embedding(vocabulary, width)
        self.sigma_map = _NoiseLevel(condition)
        self.rotary = Rotary(width // heads, length)
        self.blocks = nn.ModuleList(DDiTBlock(width, heads, condition) for _ in range(blocks))
        self.output_layer = _Output(vocabulary, width, condition)

    def encode(self, source: Tensor) -> None:
        """It takes no source."""

    def forward(
        self,
        sequence: Tensor,
        source_kv: None = None,
        time: Tensor | TimeInputs | None = None,
        read: Literal["logits"] | LogitReading = "logits",
    ) -> Any:
        """Arguments and result as of `baselines.token_diffusion.system.TokenDenoiser`; without a time, the network is
        told that there is no noise, as MDLM's always is."""
        states, lm_head = self.states(sequence, time), self.output_layer.linear
        return lm_head(states) if read == "logits" else read.of(states, lm_head, lm_head.out_features)

    def time_inputs(self, time: Tensor | None) -> TimeInputs:
        """What blocks, and then the output, scale and shift by at times [S], or where there is no noise, S = 1: each
        [S, 1, 6 * W], the last [S, 1, 2 * W]."""
        table = self.vocab_embed.embedding
        sigma = table.new_zeros(1, dtype=torch.float32) if time is None else -SCHEDULE.alpha(time).log()
        level = self.sigma_map.mlp(sinusoid(sigma, FREQUENCIES, MAX_PERIOD).to(table.dtype))
        level = functional.silu(level)  # [S, C]
        modulated_parts = (*self.blocks, self.output_layer)
        return TimeInputs(tuple(part.adaLN_modulation(level)[:, None] for part in modulated_parts))

    def states(self, sequence: Tensor, time: Tensor | TimeInputs | None) -> Tensor:
        """What the output head reads, [B, L, W]."""
        known = time if isinstance(time, TimeInputs) else self.time_inputs(time)
        x = self.vocab_embed.embedding[sequence]  # [B, L, W]
        *modulations, last = known.parts
        for block, modulation in zip(self.blocks, modulations, strict=True):
            x = block(x, modulation, self.rotary)
        shift, scale = last.chunk(2, -1)
        return modulated(self.output_layer.norm_final(x), shift, scale)
