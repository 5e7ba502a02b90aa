"""Layers that every network of this project is made of: norms, attention, feed-forward, rotary positions.

Axis legend, for this package:
    B texts        L token positions   N latents       S source positions   Q, K query and key positions
    W model width  C latent width      T text width    V vocabulary         H heads    D head size

Attention runs in `torch.nn.functional.scaled_dot_product_attention`; masks are boolean, True where a key may be seen.
Short sequences are packed first on a GPU (`packed_texts`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Rotate = Callable[[Tensor], Tensor]
"""Turns queries or keys [B, H, Q, D] by their positions, as `Rotary` does; all heads alike, so both can be given."""

Summands = tuple[Tensor, ...]
"""What a layer leaves to be added up by the next, in the pass over memory in which that normalises it."""

PACKED_POSITIONS = 128  # of queries or keys that an attention kernel works on at once, whether there are so many or not
LONGEST_PACKED = 32  # positions of a text; of longer ones there is little to gain


class TimeInputs(NamedTuple):
    """What a network makes of times [S] alone, by its method `time_inputs`. Where these are known before it is called,
    it is worked out for all of them at once, and a call is given a row in place of its time."""

    parts: tuple[Tensor, ...]  # each [S, ...]; what they are, the network knows

    def row(self, index: int) -> TimeInputs:
        """Of one time, for a call in which it is that of all texts."""
        return TimeInputs(tuple(part[index : index + 1] for part in self.parts))


class RMSNorm(nn.Module):
    """x / max(rms(x), eps) * gain over the last axis; the norm clamps where most add eps. Computed in float32."""

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        inverse = wide.square().mean(-1, keepdim=True).clamp_min(self.eps**2).rsqrt()
        return (wide * inverse * self.gain).to(x.dtype)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, Q, H*D] -> [B, H, Q, D]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, H, Q, D] -> [B, Q, H*D]."""
    return x.transpose(1, 2).flatten(2)


def begun(x: Tensor) -> Summands:
    """x and nothing, for the first layer: given the like of what the others are, it needs no compilation of its own."""
    kind, dtype = x.device.type, x.dtype
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)  # that of a linear map
    return x, torch.zeros_like(x, dtype=dtype).requires_grad_(x.requires_grad)


def added_up(summands: Summands) -> Tensor:
    return functools.reduce(torch.add, summands)


def packed_texts(texts: int, length: int, device: torch.device) -> int:
    """How many texts of some positions each attend as one sequence, under a mask that keeps them apart.

    An attention kernel of a GPU takes a tile of `PACKED_POSITIONS` queries whatever their number, so of texts with 16
    it does an eighth of its work in vain for each. Where all are long, or on a CPU, it is one.
    """
    if device.type == "cuda" and length <= LONGEST_PACKED:
        for count in range(PACKED_POSITIONS // length, 1, -1):
            if texts % count == 0:
                return count
    return 1


def attend_packed(query: Tensor, key: Tensor, value: Tensor, count: int) -> Tensor:
    """Attention of every text to itself, `count` texts as one sequence; all [B, H, Q, D], and so is the result."""
    length = query.shape[2]
    text = torch.arange(count * length, device=query.device) // length
    apart = torch.zeros((), dtype=query.dtype, device=query.device).where(text[:, None] == text, -torch.inf)
    joined = (_join(part, count) for part in (query, key, value))  # each [B / count, H, count * Q, D]
    attended = functional.scaled_dot_product_attention(*joined, apart)
    return attended.transpose(1, 2).unflatten(1, (count, length)).flatten(0, 1).transpose(1, 2)


def _join(x: Tensor, count: int) -> Tensor:
    """[B, H, Q, D] -> [B / count, H, count * Q, D]; nothing moves where heads lie within positions."""
    return x.transpose(1, 2).unflatten(0, (-1, count)).flatten(1, 2).transpose(1, 2)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [..., D] with each half turned against the other by angles of such cosines and sines."""
    first, second = x.chunk(2, -1)
    return x * cos.to(x.dtype) + torch.cat((-second, first), -1) * sin.to(x.dtype)


class Rotary(nn.Module):
    """Rotary positions (Su et al., 2104.09864), halves rotated as in LLaMA. The table is rebuilt, never stored."""

    def __init__(self, head_size: int, positions: int, theta: float = 10_000.0) -> None:
        super().__init__()
        frequency = theta ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)  # [D/2]
        angle = torch.arange(positions, dtype=torch.float32)[:, None] * frequency  # [positions, D/2]
        self.register_buffer("cos", torch.cat((angle, angle), -1).cos(), persistent=False)  # [positions, D]
        self.register_buffer("sin", torch.cat((angle, angle), -1).sin(), persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Turn queries or keys [B, H, Q, D] that stand at positions start, start + 1, ..."""
        stop = start + x.shape[-2]
        assert stop <= self.cos.shape[0], f"position {stop} beyond the rotary table of {self.cos.shape[0]}"
        return turn(x, self.cos[start:stop], self.sin[start:stop])

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """What `turn` needs for x [B, H, D] of one position per row, at `positions` int64 [B]: each [B, 1, D]."""
        return self.cos[positions][:, None], self.sin[positions][:, None]


class SelfAttention(nn.Module):
    """Multi-head self-attention without biases, one matrix for queries, keys and values.

    `inner` is the width of all heads together, W where it is left out.
    """

    def __init__(self, width: int, heads: int, inner: int | None = None) -> None:
        super().__init__()
        self.heads, inner = heads, inner or width
        self.to_qkv = nn.Linear(width, 3 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(
        self, x: Tensor, rotary: Rotate | None = None, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """x [B, Q, W] -> [B, Q, W]; mask broadcastable to [B, H, Q, K], True = seen."""
        mapped = self.to_qkv(x)
        turned, value = mapped.split((mapped.shape[-1] // 3 * 2, mapped.shape[-1] // 3), -1)
        turned, value = split_heads(turned, 2 * self.heads), split_heads(value, self.heads)
        query, key = (turned if rotary is None else rotary(turned)).chunk(2, 1)
        count = packed_texts(len(x), x.shape[1], x.device) if mask is None and not causal else 1
        if count > 1:
            attended = attend_packed(query, key, value, count)
        else:
            attended = functional.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)
        return self.out(merge_heads(attended))


class CrossAttention(nn.Module):
    """Multi-head attention to other states, whose keys and values can be computed once and used at every step; `inner`
    as in `SelfAttention`."""

    called_apart = ("to_kv",)  # not by the block that has it, but before all blocks (`cosmos.training.sharding`)

    def __init__(self, width: int, heads: int, inner: int | None = None) -> None:
        super().__init__()
        self.heads, inner = heads, inner or width
        self.to_query = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def keys_values(self, states: Tensor, rotary: Rotate | None = None) -> tuple[Tensor, Tensor]:
        """[B, K, W] -> keys and values, each [B, H, K, D]."""
        key, value = (split_heads(part, self.heads) for part in self.to_kv(states).chunk(2, -1))
        return key if rotary is None else rotary(key), value

    def forward(
        self, x: Tensor, keys_values: tuple[Tensor, Tensor], mask: Tensor | None = None, rotary: Rotate | None = None
    ) -> Tensor:
        """x [B, Q, W]; mask broadcastable to [B, H, Q, K], True = seen."""
        query = split_heads(self.to_query(x), self.heads)
        if rotary is not None:
            query = rotary(query)
        return self.out(merge_heads(functional.scaled_dot_product_attention(query, *keys_values, mask)))


class PerceiverAttention(nn.Module):
    """Attention of a stream to a memory and to itself under one joint softmax, with QK-norm (cosmos.md 1.2).

    Both sides are normalised first; keys and values of stream and memory come from different matrices; queries and keys
    pass an RMSNorm over the head size whose gain the heads share. No biases. `width` is that of all heads together,
    and those of stream and memory where they are left out.
    """

    def __init__(self, width: int, heads: int, stream: int | None = None, memory: int | None = None) -> None:
        super().__init__()
        self.heads, stream, memory = heads, stream or width, memory or width
        self.stream_norm, self.memory_norm = RMSNorm(stream), RMSNorm(memory)
        self.query_norm, self.key_norm = RMSNorm(width // heads), RMSNorm(width // heads)
        self.stream_to_qkv = nn.Linear(stream, 3 * width, bias=False)
        self.memory_to_kv = nn.Linear(memory, 2 * width, bias=False)
        self.out = nn.Linear(width, stream, bias=False)

    def forward(self, stream: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """stream [B, Q, W] and memory [B, M, W], each of its width, and mask [B, 1, 1, Q + M] over (stream, memory),
        True = seen -> as stream. A stream that is the same for all texts may come once, [1, Q, W]."""
        mapped = self.stream_to_qkv(self.stream_norm(stream)).expand(len(memory), -1, -1)
        query, *own = mapped.chunk(3, -1)
        other = self.memory_to_kv(self.memory_norm(memory)).chunk(2, -1)
        key, value = (split_heads(torch.cat(pair, 1), self.heads) for pair in zip(own, other, strict=True))
        query, key = self.query_norm(split_heads(query, self.heads)), self.key_norm(key)
        return self.out(merge_heads(functional.scaled_dot_product_attention(query, key, value, mask)))


class GeluFeedForward(nn.Sequential):
    """LayerNorm, Linear, GELU, Dropout, Linear; with biases."""

    def __init__(self, width: int, inner: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width)
        )


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), no biases (Shazeer, 2002.05202); gate and up are one matrix."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.to_gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.to_gate_up(x).chunk(2, -1)
        return self.down(functional.silu(gate) * up)


def sinusoid(t: Tensor, width: int, max_period: float) -> Tensor:
    """Cosines then sines of t [B] at width/2 frequencies from 1 down towards 1/max_period -> float32 [B, width]."""
    half = width // 2
    exponent = torch.arange(half, device=t.device, dtype=torch.float32) / half
    angle = t.float()[:, None] * torch.exp(-math.log(max_period) * exponent)  # [B, width/2]
    return torch.cat((angle.cos(), angle.sin()), -1)


def project(inner: int, outer: int) -> nn.Module:
    """A linear map without bias where the widths differ, and nothing where they agree."""
    return nn.Identity() if inner == outer else nn.Linear(inner, outer, bias=False)
