"""Losses that read tokens off hidden states, a chunk of positions at a time, so that no logits of all positions exist.

The product with the table of tokens, the loss and its gradient follow each other chunk by chunk, all of them in the
forward pass: what is kept for the backward pass are the gradients of states and table. So the products are as many as
with logits of all positions (one forward, two backward), and logits take memory for one chunk, in the dtype of the
product. Where the loss is compiled, float32 logits exist in registers alone. (The same idea as in "Liger Kernel", Hsu
et al., 2024, arXiv:2410.10989; here the loss is any function of rows of logits.)

Axis legend: M positions, R positions of a chunk, W width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cosmos.runtime.compilation import compiled_if

RowLoss = Callable[..., Tensor]
"""`loss(logits, *columns, *whole)`: a scalar, the sum over rows; logits [R, V], each of the columns [R, ...], and what
all chunks are given. A function of a module, as it may be compiled; it widens the logits by itself (`widened`)."""

CHUNK_LOGITS = {"cuda": 1 << 27, "cpu": 1 << 22}
"""Of one chunk, at most. With 2^27 in place of 2^25 a step of three systems on an H200 took .34 to .40 ms less."""


def widened(logits: Tensor) -> Tensor:
    """In float32, or as they are where that is wider."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def weighted_nll(logits: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    """The cross-entropy of tokens int64 [R], times weights [R], summed."""
    return (functional.cross_entropy(widened(logits), tokens, reduction="none") * weights).sum()


def summed_nll(
    states: Tensor,
    table: Tensor,
    tokens: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    compiled: bool = False,
) -> Tensor:
    """sum over positions of weight * -log p(token), in nats, where p is the softmax of state @ table.T + bias.

    Args:
        states: [M, W]. table: [V, W]. bias: [V].
        tokens: int64 [M]. weights: [M]; zero where a position does not count.
        compiled: as in `chunked_loss`.
    """
    return chunked_loss(weighted_nll, states, table, (tokens, weights), bias, compiled)


def chunked_loss(
    loss: RowLoss,
    states: Tensor,
    table: Tensor,
    columns: tuple[Tensor, ...],
    bias: Tensor | None = None,
    compiled: bool = False,
    whole: tuple[Tensor, ...] = (),
) -> Tensor:
    """The loss of the logits states @ table.T + bias, summed over positions: a scalar of the loss's dtype.

    Exact, with the gradients of states, table and bias; what else the loss is given gets none. Under autocast the
    products are made in its dtype, and the table's gradient is summed over chunks in float32.

    Args:
        states: [M, W]. table: [V, W]. bias: [V].
        columns: what else the loss is given, each [M, ...]. whole: the same where it is not of a position, as a table.
        compiled: run the loss compiled, for every size of a chunk by itself; to be called within
            `cosmos.runtime.compilation.compiled`.
    """
    with_gradient = torch.is_grad_enabled()
    result: Tensor = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
        compiled_if(compiled, loss, static=True), with_gradient, bias is not None, states, table,
        table.new_zeros(0) if bias is None else bias, len(columns), *columns, *whole,
    )  # fmt: skip
    return result


def choose(scored: Tensor, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Which positions of [B, L] are read out, where only those count that `scored`, bool [B, L], says.

    Args:
        positions: flat, int64 [M], from where they cost nothing to find; -1 for none. Where they are not given, they
            are looked for on a CPU; elsewhere all positions are read, as a GPU would have to be waited for.

    Returns:
        Flat positions int64 [M], and which of them count, bool [M].
    """
    if positions is not None:
        return positions.clamp_min(0), positions >= 0
    flat = scored.flatten()
    if flat.device.type == "cpu":
        found = flat.nonzero()[:, 0]
        return found, torch.ones_like(found, dtype=torch.bool)
    return torch.arange(len(flat), device=flat.device), flat


def rounded_up(count: int, of: int) -> int:
    """A number of positions to read out of so many: `count` or somewhat more, such that few numbers come up; a multiple
    of a sixteenth of all or less, and at most of 1024."""
    unit = min(1024, 1 << max(4, (of // 16).bit_length() - 1))
    return -(-count // unit) * unit


def first_of(scored: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The first `most` places where `scored`, bool [n], is True, without waiting for the device: as `choose` gives
    them, with M = `most`."""
    place = scored.cumsum(0) - 1
    place = torch.where(scored & (place < most), place, most)
    numbers = torch.arange(len(scored), device=scored.device)
    found = torch.full((most + 1,), -1, dtype=torch.int64, device=scored.device).scatter_(0, place, numbers)[:most]
    return found.clamp_min(0), found >= 0


def take(states: Tensor, index: Tensor, counts: Tensor) -> Tensor:
    """states[index] of states [n, W], as `choose` gives index and counts: [M, W]; rows that do not count have no
    gradient."""
    result: Tensor = _Taken.apply(states, index, counts)  # type: ignore[no-untyped-call]
    return result


class _Taken(torch.autograd.Function):
    """As rows that count are there once each, their gradients are copied; to add them up, as that of an index would,
    is several times as slow on a GPU."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, index: Tensor, counts: Tensor) -> Tensor:
        ctx.save_for_backward(index, counts)
        ctx.rows = len(states)
        return states.index_select(0, index)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        index, counts = ctx.saved_tensors
        found = outer.new_zeros(ctx.rows + 1, outer.shape[1])  # the last row is for those that do not count
        return found.index_copy_(0, torch.where(counts, index, ctx.rows), outer)[: ctx.rows], None, None


def chunk_rows(device: torch.device, vocabulary: int, logits: Mapping[str, int] | None = None) -> int:
    """Positions of a chunk, a power of two, of at most so many logits on each type of device (`CHUNK_LOGITS`)."""
    most = (logits or CHUNK_LOGITS)["cuda" if device.type == "cuda" else "cpu"] // vocabulary
    return 1 << max(6, most.bit_length() - 1)


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        loss: RowLoss,
        with_gradient: bool,
        has_bias: bool,
        states: Tensor,
        table: Tensor,
        bias: Tensor,
        count: int,
        *given: Tensor,
    ) -> Tensor:
        columns, whole = given[:count], given[count:]
        kind, rows = states.device.type, chunk_rows(states.device, len(table))
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else table.dtype
        narrow, table_narrow = states.to(dtype), table.to(dtype)
        wanted = [with_gradient and needed for needed in ctx.needs_input_grad[3:6]]
        wide = torch.promote_types(dtype, torch.float32)
        of_states = torch.empty_like(narrow) if wanted[0] else None
        of_table = torch.zeros_like(table, dtype=wide) if wanted[1] else None
        of_bias = torch.zeros_like(bias, dtype=wide) if has_bias and wanted[2] else None
        total: Tensor | None = None
        with torch.autocast(kind, enabled=False):
            for start in range(0, max(1, len(states)), rows):
                here = slice(start, start + rows)
                logits = narrow[here] @ table_narrow.T  # [R, V]
                if has_bias:
                    logits += bias.to(dtype)
                others = [*(column[here] for column in columns), *whole]
                part, gradient = _value_and_gradient(loss, logits, others, any(wanted))
                total = part if total is None else total + part
                if of_states is not None:
                    torch.mm(gradient, table_narrow, out=of_states[here])
                if of_table is not None:
                    of_table += gradient.T @ narrow[here]
                if of_bias is not None:
                    of_bias += gradient.sum(0, dtype=wide)
        kept = [(of_states, states), (of_table, table), (of_bias, bias)]
        ctx.save_for_backward(*(None if found is None else found.to(given.dtype) for found, given in kept))
        assert total is not None
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        found = [None if value is None else value * outer.to(value.dtype) for value in ctx.saved_tensors]
        return (None, None, None, *found, *(None for _ in ctx.needs_input_grad[6:]))


def _value_and_gradient(
    loss: RowLoss, logits: Tensor, others: list[Tensor], with_gradient: bool
) -> tuple[Tensor, Tensor]:
    """The loss of a chunk and its gradient by the logits, which are nothing where no gradient is asked for."""
    if not with_gradient:
        return loss(logits, *others), logits
    with torch.enable_grad():
        part = loss(logits.requires_grad_(), *others)
        (gradient,) = torch.autograd.grad(part, logits)
    return part.detach(), gradient
