"""The most probable tokens of many positions, in one kernel where that pays and a chunk at a time elsewhere.

The kernel (`cosmos.models.argmax_kernel`) multiplies tiles of states with tiles of the table and keeps the largest
logit of each position and its token, so that no logits are written at all: what is written is eight bytes for each
position and stretch of the table. 65,536 positions of width 768 and a table of 30,528 rows, in bfloat16, took one H200
5.33 ms by a prototype of it and 7.15 ms a chunk at a time, of which the products are 5.12; no token was another. In a
pass of the decompressor for 512 texts the kernel takes 5.4 ms.

Axis legend: R positions, W width, V rows of the table, S stretches of it.
"""

from __future__ import annotations

import functools
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from cosmos.models.token_reading import chunk_by_chunk, most_probable
from cosmos.runtime.compilation import has_compiler

FEWEST = 4096  # positions that the kernel is used for: 32 tiles, each by as many programs as the table has stretches
TILE, WORDS, NUMBERS = 128, 256, 64  # positions, rows of the table and numbers of each that a program multiplies
STAGES, WARPS = 3, 8  # of such tiles on their way from memory; warps of a program
SHARED_BYTES = STAGES * (TILE + WORDS) * NUMBERS * 2 + 4096  # of a multiprocessor that a program takes, at most
STRETCHES = range(2, 9)  # two or more: one was not timed


def read_tokens(
    chunk: Callable[[Tensor], Tensor], states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None = None
) -> Tensor:
    """The most probable tokens of states [..., W], int64 [...], as `most_probable` finds them, of equals the first.

    Logits are rounded to their dtype before they are compared, either way; one that is no number is not found by the
    kernel.

    Args:
        chunk: `most_probable` of a chunk [R, W] with these table [V, W], vocabulary and bias [V], compiled perhaps; for
            where the kernel does not pay.
    """
    if pays(states, table, bias):
        tokens: Tensor = fused_most_probable(states.flatten(0, -2), table, vocabulary, bias)
        return tokens.view(states.shape[:-1])
    return chunk_by_chunk(chunk, states, len(table))


def pays(states: Tensor, table: Tensor, bias: Tensor | None) -> bool:
    """Whether the kernel can read states [..., W], and they are enough."""
    width, dtype = states.shape[-1], states.dtype
    return (
        dtype in (torch.bfloat16, torch.float16)
        and all(each.dtype == dtype and each.is_contiguous() for each in (table, *(() if bias is None else (bias,))))
        and width % NUMBERS == 0
        and states.numel() >= FEWEST * width
        and multiprocessors(states.device) > 0
        and table.data_ptr() % 16 == 0
    )


@functools.cache
def kernel() -> ModuleType | None:
    """`cosmos.models.argmax_kernel`; None where there is no Triton, or one without descriptors of tensors."""
    try:
        from cosmos.models import argmax_kernel
    except ImportError:
        return None
    return argmax_kernel


def can_launch() -> bool:
    """Whether the machine has what Triton builds its launches with: a compiler, and Python's headers."""
    return has_compiler() and (Path(str(sysconfig.get_config_var("INCLUDEPY"))) / "Python.h").is_file()


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """Of a GPU that can run the kernel; 0 of any other device. Tiles are copied by the tensor memory accelerator, which
    is there from compute capability 9 on."""
    if device.type != "cuda" or torch.version.hip or not can_launch() or kernel() is None:
        return 0
    gpu = torch.cuda.get_device_properties(device)
    able = gpu.major >= 9 and gpu.shared_memory_per_multiprocessor >= SHARED_BYTES
    return int(gpu.multi_processor_count) if able else 0


def stretches_of(positions: int, vocabulary: int, multiprocessors: int) -> int:
    """Into how many stretches the table is cut, so that programs, one of a multiprocessor at a time, end together.

    As if every tile of the table took the same time: what counts is how often all multiprocessors begin anew, times the
    tiles of a stretch. The fewest stretches of those that are best.
    """
    blocks, tiles = -(-positions // TILE), -(-vocabulary // WORDS)

    def tiles_in_turn(stretches: int) -> int:
        return -(-blocks * stretches // multiprocessors) * -(-tiles // stretches)

    return min(STRETCHES, key=tiles_in_turn)


def by_kernel(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None, stretches: int) -> Tensor:
    """`most_probable` of states [R, W] that lie one after the other, by the kernel: int64 [R]."""
    triton_kernel = kernel()
    assert triton_kernel is not None, "there is no Triton here"
    values = torch.empty(len(states), stretches, dtype=torch.float32, device=states.device)
    places = torch.empty_like(values, dtype=torch.int32)
    triton_kernel.best_of_stretch[(-(-len(states) // TILE) * stretches,)](
        triton_kernel.tiled(states, TILE, NUMBERS), triton_kernel.tiled(table, WORDS, NUMBERS), bias, values, places,
        len(states), vocabulary, stretches, states.shape[1], TILE, WORDS, NUMBERS, num_stages=STAGES, num_warps=WARPS,
    )  # fmt: skip
    return places.gather(1, values.argmax(1, keepdim=True))[:, 0].to(torch.int64)  # of equals the first stretch


@torch.library.custom_op(
    "cosmos::most_probable",
    mutates_args=(),
    schema="(Tensor states, Tensor table, int vocabulary, Tensor? bias) -> Tensor",
)
def fused_most_probable(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None) -> Tensor:
    """`most_probable` of states [R, W] by a table [V, W], as one operation: int64 [R]. On a GPU it is the kernel, and
    asks for all that `pays` does but the number of positions; elsewhere it is made of others."""
    return chunk_by_chunk(lambda part: most_probable(part, table, vocabulary, bias), states, len(table))


@fused_most_probable.register_kernel("cuda")
def _on_gpu(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None) -> Tensor:
    stretches = stretches_of(len(states), vocabulary, multiprocessors(states.device))
    with torch.cuda.device(states.device):
        return by_kernel(states.contiguous(), table, vocabulary, bias, stretches)


@fused_most_probable.register_fake
def _shape(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None) -> Tensor:
    return states.new_empty(len(states), dtype=torch.int64)


@register_flop_formula(torch.ops.cosmos.most_probable)
def _flops(states: torch.Size, table: torch.Size, *_: object, **__: object) -> int:
    return 2 * states[0] * table[0] * table[1]  # as the product of all rows that it stands for
