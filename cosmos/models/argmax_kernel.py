"""The kernel of `cosmos.models.fused_reading`, in Triton, which comes with torch where there are CUDA devices.

Axis legend: P positions and N rows of the table in a tile, K numbers of the width at a time, R positions, S stretches.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit(do_not_specialize=["positions", "vocabulary", "stretches"])
def best_of_stretch(
    states,
    table,
    bias,
    values,
    places,
    positions,
    vocabulary,
    stretches,
    WIDTH: tl.constexpr,
    P: tl.constexpr,
    N: tl.constexpr,
    K: tl.constexpr,
):
    """Each program takes a tile of positions and one stretch of the table, of whole tiles, and keeps the largest logit
    of each position and its row of the table: values float32 [R, S], places int32 [R, S]; -inf and 0 if it has no rows.

    `states` and `table` are `tiled`, [P, K] and [N, K]; `bias` [V] or None, `values` and `places` are pointers.
    Logits are rounded as a product of that dtype is, and so again after the bias, so that the same of them are equal.
    A tile's first of equals is taken, and later tiles must be better.
    """
    first = tl.program_id(0) // stretches * P
    stretch = tl.program_id(0) % stretches
    tiles = tl.cdiv(vocabulary, N)
    each = tl.cdiv(tiles, stretches)
    value = tl.full((P,), float("-inf"), tl.float32)
    place = tl.zeros((P,), tl.int32)
    for tile in range(stretch * each, tl.minimum((stretch + 1) * each, tiles)):
        logits = tl.zeros((P, N), tl.float32)
        for number in range(0, WIDTH, K):
            # What lies beyond the last row is read as zeros.
            logits = tl.dot(states.load([first, number]), table.load([tile * N, number]).T, logits)
        words = tile * N + tl.arange(0, N)
        logits = logits.to(states.dtype).to(tl.float32)
        if bias is not None:
            added = tl.load(bias + words, mask=words < vocabulary, other=0.0).to(tl.float32)
            logits = (logits + added[None, :]).to(states.dtype).to(tl.float32)
        logits = tl.where(words[None, :] < vocabulary, logits, float("-inf"))
        largest, index = tl.max(logits, 1, return_indices=True, return_indices_tie_break_left=True)
        better = largest > value
        value = tl.where(better, largest, value)
        place = tl.where(better, tile * N + index, place)
    rows = first + tl.arange(0, P)
    tl.store(values + rows * stretches + stretch, value, mask=rows < positions)
    tl.store(places + rows * stretches + stretch, place, mask=rows < positions)


def tiled(matrix: Tensor, rows: int, numbers: int) -> TensorDescriptor:
    """A contiguous matrix as the kernel reads it, so many rows and numbers at a time. It is made on the host and is an
    argument of the launch, so a CUDA graph holds it; its address and rows must be multiples of 16 bytes."""
    return TensorDescriptor(matrix, [*matrix.shape], [*matrix.stride()], [rows, numbers])
