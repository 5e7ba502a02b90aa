"""The one transformer that rivals share: pre-norm blocks of rotary self-attention and SwiGLU.

Layers, and so kernels, are those of Cosmos (`cosmos.blocks`). Bidirectional or causal by a flag, with
or without a time input, so that rivals can differ in nothing else.

Axis legend: B rows (texts), L positions, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from cosmos.blocks import RMSNorm, SelfAttention, SwiGLU, sinusoid

TIME_SCALE, MAX_PERIOD = 1000.0, 10_000.0  # of the time embedding, as in DiT (Peebles and Xie, 2023)


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes of a trunk; a feed-forward layer is `inner` wide between its two maps."""

    width: int
    layers: int
    heads: int
    inner: int
    causal: bool = False
    time_width: int = 0  # of the time input; 0: the network has none


class _Block(nn.Module):
    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.causal = config.causal
        self.attention_norm, self.mlp_norm = RMSNorm(config.width), RMSNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads)
        self.mlp = SwiGLU(config.width, config.inner)
        self.shift = nn.Linear(config.time_width, config.width, bias=False) if config.time_width else None

    def forward(
        self, x: Tensor, rotate: Callable[[Tensor], Tensor], seen: Tensor | None, time: Tensor | None
    ) -> Tensor:
        if self.shift is not None:
            assert time is not None
            x = x + self.shift(time)[:, None]  # [B, 1, W]
        x = x + self.attention(self.attention_norm(x), rotate, seen, self.causal)
        return x + self.mlp(self.mlp_norm(x))


class Trunk(nn.Module):
    """Hidden states in, hidden states out, [B, L, W]; the last ones pass a norm."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width)
        if config.time_width:
            width = config.time_width
            self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.config = config

    def forward(
        self,
        x: Tensor,
        rotate: Callable[[Tensor], Tensor],
        seen: Tensor | None = None,
        time: Tensor | None = None,
    ) -> Tensor:
        """Args:
        x: [B, L, W].
        rotate: turns queries and keys [B, H, L, D] by their positions, such as `cosmos.blocks.Rotary`.
        seen: boolean [B, L], True where a position may be attended to; None: all. Not with a causal trunk, whose
            padding comes last and so is never seen.
        time: [B] in [0, 1], for a trunk with a time input. It is added to the input of every block, as in Cosmos.
        """
        mask = None if seen is None else seen[:, None, None]  # [B, 1, 1, L]
        told = None
        if self.config.time_width:
            assert time is not None, "a trunk with a time input is told the time"
            told = self.time(sinusoid(TIME_SCALE * time, self.config.time_width, MAX_PERIOD).to(x.dtype))
        for block in self.blocks:
            x = block(x, rotate, mask, told)
        return self.norm(x)
