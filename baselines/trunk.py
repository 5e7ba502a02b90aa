"""The one transformer that rivals share: pre-norm blocks of rotary self-attention and SwiGLU.

Layers, and so kernels, are those of Cosmos (`cosmos.blocks`). Bidirectional or causal by a flag, so
that a masked-diffusion model and an autoregressive one can differ in nothing else.

Axis legend: B rows (texts), L positions, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from cosmos.blocks import RMSNorm, SelfAttention, SwiGLU


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes of a trunk; a feed-forward layer is `inner` wide between its two maps."""

    width: int
    layers: int
    heads: int
    inner: int
    causal: bool = False


class _Block(nn.Module):
    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.causal = config.causal
        self.attention_norm, self.mlp_norm = RMSNorm(config.width), RMSNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads)
        self.mlp = SwiGLU(config.width, config.inner)

    def forward(self, x: Tensor, rotate: Callable[[Tensor], Tensor], seen: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotate, seen, self.causal)
        return x + self.mlp(self.mlp_norm(x))


class Trunk(nn.Module):
    """Hidden states in, hidden states out, [B, L, W]; the last ones pass a norm."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width)

    def forward(self, x: Tensor, rotate: Callable[[Tensor], Tensor], seen: Tensor | None = None) -> Tensor:
        """Args:
        x: [B, L, W].
        rotate: turns queries and keys [B, H, L, D] by their positions, such as `cosmos.blocks.Rotary`.
        seen: boolean [B, L], True where a position may be attended to; None: all. Not with a causal trunk, whose
            padding comes last and so is never seen.
        """
        mask = None if seen is None else seen[:, None, None]  # [B, 1, 1, L]
        for block in self.blocks:
            x = block(x, rotate, mask)
        return self.norm(x)
