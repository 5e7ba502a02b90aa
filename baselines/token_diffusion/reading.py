"""What a sampler has a network read off its hidden states: a function of logits, at the positions that the sampler
names, a chunk of them at a time, so that no logits of all positions exist.

It is done within the network's call, as Cosmos reads its tokens within its decompressor's.

Axis legend: B rows (texts), L positions, M positions that are read, R those of a chunk, W width, V tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cosmos.models.token_reading import chunks_of
from cosmos.runtime.compilation import compiled_if

RowReader = Callable[..., tuple[Tensor, ...]]
"""`rows(logits, *columns, **constants)` of logits [R, V] and columns [R]: tensors [R]. A function of a module, as it
may be compiled; it widens the logits by itself."""


@dataclass(frozen=True)
class LogitReading:
    """What is read of the logits.

    Attributes:
        columns: what else `rows` is given of each position, [B, L].
        constants: what it is given by name, the same at all positions.
        index: flat positions, int64 [M], that are read; None: all of them.
        compiled: whether `rows` runs compiled (`cosmos.runtime.compilation.compiled_if`).
    """

    rows: RowReader
    columns: tuple[Tensor, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    index: Tensor | None = None
    compiled: bool = False

    def of(self, states: Tensor, lm_head: Callable[[Tensor], Tensor], vocabulary: int) -> tuple[Tensor, ...]:
        """What `rows` makes of states [B, L, W], whose logits are `lm_head` of [R, W]: tensors [M], or [B, L] of all
        positions. `vocabulary` is V."""
        flat, *columns = (each.flatten(0, 1) for each in (states, *self.columns))
        if self.index is not None:
            flat, *columns = (each.index_select(0, self.index) for each in (flat, *columns))
        rows, chunks = compiled_if(self.compiled, self.rows), chunks_of(flat, vocabulary)
        beside = (column.split([len(chunk) for chunk in chunks]) for column in columns)
        read = [rows(lm_head(chunk), *given, **self.constants) for chunk, *given in zip(chunks, *beside, strict=True)]
        found = (torch.cat(each) for each in zip(*read, strict=True))
        return tuple(each if self.index is not None else each.view(states.shape[:2]) for each in found)
