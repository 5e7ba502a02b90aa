"""The most probable token of each position, a chunk of positions at a time, so that no logits of all positions exist.

A chunk's logits are made, searched and forgotten, where those of all positions of a large batch are gigabytes. Tokens
are those of an argmax over the logits of all: of equals the first. `cosmos.models.fused_reading` reads those of many
positions on a GPU at once.

Axis legend: R positions of a chunk, W width, V rows of the table.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cosmos.models.token_head import chunk_rows

READ_LOGITS = {"cuda": 1 << 27, "cpu": 1 << 22}
"""Of a chunk, at most. 65,000 positions of 768 numbers took an H200 7.5 ms at 2^25, 6.6 at 2^27, 6.5 at 2^28."""


def most_probable(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None = None) -> Tensor:
    """Of a chunk's states [R, W]: int64 [R], among the first `vocabulary` rows of the table [V, W], with bias [V].

    The rows that fill the table up to a fast width are part of the product, and left out of the search.
    """
    logits = states @ table.T
    return (logits if bias is None else logits + bias)[:, :vocabulary].argmax(-1)


def chunks_of(states: Tensor, size: int) -> tuple[Tensor, ...]:
    """States [..., W] as chunks [R, W], one at least, where each has `size` logits."""
    flat = states.flatten(0, -2)
    return flat.split(chunk_rows(states.device, size, READ_LOGITS))


def chunk_by_chunk(read: Callable[[Tensor], Tensor], states: Tensor, size: int) -> Tensor:
    """`read` of states [..., W], given them as chunks [R, W], as one: [...]. `size` is the number of logits of one."""
    return torch.cat([read(part) for part in chunks_of(states, size)]).view(states.shape[:-1])
