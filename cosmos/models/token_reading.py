"""The most probable token of each position, a chunk of positions at a time, so that no logits of all positions exist.

A chunk's logits are made, searched and forgotten: on a GPU they stay within its cache, or nearly, where those of all
positions of a large batch are gigabytes that go to memory and come back. Tokens are those of an argmax over the logits
of all: of equals the first.

Axis legend: R positions of a chunk, W width, V rows of the table.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cosmos.models.token_head import chunk_rows

READ_LOGITS = {"cuda": 1 << 27, "cpu": 1 << 22}  # of a chunk that is only searched, at most
PLACES = 16  # bits of a token's number beside a logit of as many


def most_probable(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None = None) -> Tensor:
    """Of a chunk's states [R, W]: int64 [R], among the first `vocabulary` rows of the table [V, W], with bias [V].

    The rows that fill the table up to a fast width are part of the product, and left out of the search.
    """
    logits = states @ table.T
    return first_of_largest((logits if bias is None else logits + bias)[:, :vocabulary])


def first_of_largest(logits: Tensor) -> Tensor:
    """The argmax of each row [R, V], int64 [R]; of equals the first.

    Compiled for a GPU, logits of 16 bits are searched as integers that hold a logit's rank and its place: to find the
    largest number takes half the time that Inductor's argmax takes.
    """
    fits = logits.dtype in (torch.bfloat16, torch.float16) and logits.shape[-1] <= 1 << PLACES
    if fits and logits.is_cuda and torch.compiler.is_compiling():
        return first_by_rank(logits)
    return logits.argmax(-1)


def first_by_rank(logits: Tensor) -> Tensor:
    """`first_of_largest` of logits of 16 bits, none of them not a number, and of at most 2^16 of them a row."""
    last = logits.shape[-1] - 1
    bits = logits.view(torch.int16).to(torch.int32)
    rank = torch.where(bits < 0, -(bits & 0x7FFF), bits)  # in the order of the logits; -0 is 0
    behind = last - torch.arange(last + 1, dtype=torch.int32, device=logits.device)
    return last - ((rank << PLACES) + behind).amax(-1).bitwise_and((1 << PLACES) - 1).long()


def chunks_of(states: Tensor, size: int) -> tuple[Tensor, ...]:
    """States [..., W] as chunks [R, W], one at least, where each has `size` logits."""
    flat = states.flatten(0, -2)
    return flat.split(chunk_rows(states.device, size, READ_LOGITS))


def chunk_by_chunk(read: Callable[[Tensor], Tensor], states: Tensor, size: int) -> Tensor:
    """`read` of states [..., W], given them as chunks [R, W], as one: [...]. `size` is the number of logits of one."""
    return torch.cat([read(part) for part in chunks_of(states, size)]).view(states.shape[:-1])
