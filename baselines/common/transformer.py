"""The one transformer that rivals share, so that they differ in nothing else: pre-norm blocks of bidirectional rotary
self-attention and SwiGLU, with or without a time input and cross-attention to a source.

Layers, and so kernels, are those of Cosmos (`cosmos.models.blocks`). (`gpt2` is the published network.)

Axis legend: B rows (texts), L positions, S source positions, W width, H heads, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from cosmos.config import MOST_WIDE, PRESETS, check_heads, check_layers
from cosmos.io.errors import UserError, check_range
from cosmos.models.blocks import (
    CrossAttention,
    RMSNorm,
    Rotate,
    SelfAttention,
    Summands,
    SwiGLU,
    TimeInputs,
    added_up,
    begun,
    sinusoid,
)

TIME_SCALE, MAX_PERIOD = 1000.0, 10_000.0  # of the time embedding, as in DiT (Peebles and Xie, 2023)


@dataclass(frozen=True)
class TrunkConfig:
    """Sizes of a trunk; a feed-forward layer is `inner` wide between its two maps."""

    width: int
    layers: int
    heads: int
    inner: int
    time_width: int = 0  # of the time input; 0: the network has none
    cross_attention: bool = False
    dropout: float = 0.0  # of what attention and feed-forward add

    def __post_init__(self) -> None:
        check_heads(self.width, self.heads)
        check_layers(layers=self.layers)
        check_range("inner", self.inner, 1, 16 * MOST_WIDE)
        check_range("time_width", self.time_width, 0, MOST_WIDE)
        for name, least in (("layers", 0), ("inner", 1), ("time_width", 0)):
            if (value := getattr(self, name)) < least:
                raise UserError(f"The {name} of a trunk must be at least {least}, not {value}.")
        if self.time_width % 2:
            raise UserError(f"The time input is made of pairs, so its width must be even, not {self.time_width}.")
        if not 0 <= self.dropout < 1:
            raise UserError(f"The dropout of a trunk must lie in [0, 1), not at {self.dropout:g}.")


def trunk_of(preset: str, inner: int, time_width: int = 0, dropout: float = 0.0) -> TrunkConfig:
    """A trunk as wide and as deep as the denoiser of a Cosmos preset, with as many heads; `inner` is to be chosen such
    that what is called at every step has as many parameters, too."""
    sizes = PRESETS[preset].denoiser
    return TrunkConfig(sizes.width, sizes.layers, sizes.heads, inner, time_width=time_width, dropout=dropout)


class SourceKV(NamedTuple):
    """An encoded source: what each block attends to, computed once for all steps."""

    mask: Tensor  # bool [B, 1, 1, S], True where seen
    keys_values: tuple[tuple[Tensor, Tensor], ...]  # per block, each [B, H, S, D]


class _TrunkBlock(nn.Module):
    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = RMSNorm(config.width), RMSNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads)
        self.mlp = SwiGLU(config.width, config.inner)
        self.dropout = nn.Dropout(config.dropout)
        self.shift = nn.Linear(config.time_width, config.width, bias=False) if config.time_width else None
        if config.cross_attention:
            self.cross_norm, self.cross_attention = RMSNorm(config.width), CrossAttention(config.width, config.heads)

    def forward(
        self,
        stream: Summands,
        rotate: Rotate,
        seen: Tensor | None,
        time: Tensor | None,
        source: tuple[Tensor, Tensor] | None,
        source_mask: Tensor | None,
        shift: Tensor | None = None,
    ) -> Summands:
        """As that of `cosmos.models.denoiser.DenoiserBlock`, of summands to summands; `shift` [B, 1, W] is `shifted`
        of the time, where that is known."""
        x = added_up(stream)
        if shift is not None:
            x = x + shift
        elif self.shift is not None:
            x = x + self.shifted(time)
        x = x + self.dropout(self.attention(self.attention_norm(x), rotate, seen))
        if source is not None:
            x = x + self.dropout(self.cross_attention(self.cross_norm(x), source, source_mask, rotate))
        return x, self.dropout(self.mlp(self.mlp_norm(x)))

    def shifted(self, time: Tensor | None) -> Tensor:
        """What embedded times [B, `time_width`] add: [B, 1, W]."""
        assert self.shift is not None
        shift: Tensor = self.shift(time)[:, None]
        return shift


class Trunk(nn.Module):
    """Hidden states in, hidden states out, [B, L, W]; the last ones pass a norm."""

    compiles: ClassVar[tuple[str, ...]] = ("embedded_time", "end")  # besides blocks; see `cosmos.runtime.compilation`

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_TrunkBlock(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width)
        if config.time_width:
            width = config.time_width
            self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.config = config

    def source_kv(self, states: Tensor, seen: Tensor, rotate: Rotate) -> SourceKV:
        """What blocks attend to of a source's states [B, S, W], seen where the boolean [B, S] is True. Keys are turned
        by their positions as queries are, so a block can look for what stands at its own place."""
        pairs = tuple(block.cross_attention.keys_values(states, rotate) for block in self.blocks)
        return SourceKV(seen[:, None, None], pairs)

    def forward(
        self,
        x: Tensor,
        rotate: Rotate,
        seen: Tensor | None = None,
        time: Tensor | TimeInputs | None = None,
        source_kv: SourceKV | None = None,
    ) -> Tensor:
        """Args:
        x: [B, L, W].
        rotate: turns queries and keys [B, H, L, D] by their positions, such as `cosmos.models.blocks.Rotary`.
        seen: boolean [B, L], True where a position may be attended to; None: all.
        time: [B] in [0, 1], or what `time_inputs` made of it, for a trunk with a time input. It is added to the input
            of every block, as in Cosmos.
        source_kv: the source, for a trunk with cross-attention.
        """
        assert (source_kv is not None) == self.config.cross_attention, "a trunk with cross-attention is given a source"
        mask = None if seen is None else seen[:, None, None]  # [B, 1, 1, L]
        told, shifts = None, tuple[Tensor, ...]()
        if self.config.time_width:
            assert time is not None, "a trunk with a time input is told the time"
            if isinstance(time, Tensor):
                told = self.embedded_time(time, x.dtype)
            else:
                shifts = time.parts
        stream = begun(x)
        for index, block in enumerate(self.blocks):
            source, source_mask = (None, None) if source_kv is None else (source_kv.keys_values[index], source_kv.mask)
            shift = shifts[index] if shifts else None
            stream = block(stream, rotate, mask, told, source, source_mask, shift)
        return self.end(stream)

    def time_inputs(self, time: Tensor, dtype: torch.dtype) -> TimeInputs:
        """What times [S] add to the input of each block, [S, 1, W]."""
        told = self.embedded_time(time, dtype)
        return TimeInputs(tuple(block.shifted(told) for block in self.blocks))

    def embedded_time(self, time: Tensor, dtype: torch.dtype) -> Tensor:
        """What blocks are told of times [B]: [B, `time_width`]."""
        told: Tensor = self.time(sinusoid(TIME_SCALE * time, self.config.time_width, MAX_PERIOD).to(dtype))
        return told

    def end(self, stream: Summands) -> Tensor:
        states: Tensor = self.norm(added_up(stream))
        return states
