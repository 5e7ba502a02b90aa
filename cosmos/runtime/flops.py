"""Counting the floating-point operations of a piece of code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


def _forward(query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


def _backward(grad: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    return sdpa_backward_flop_count(grad, query, key, value)


# The counter knows the attention kernels of GPUs only; without these two a model on the CPU would seem cheaper.
_CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _backward,
}


def measure_flops(run: Callable[[], object]) -> float:
    """FLOPs of matrix products, convolutions and attention in `run()` (a multiply and an add count as two).

    `run` is called once, as it is. Element-wise work is not counted, as usual.
    """
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION) as counter:
        run()
    return float(counter.get_total_flops())
