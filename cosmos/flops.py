"""Counting the floating-point operations of a piece of code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
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


def step_flops(loss: Callable[[], Tensor], device: torch.device) -> float:
    """FLOPs of a loss and its gradients. On a GPU the matrix products are in bfloat16, as in training: single precision
    takes twice the memory, which may not be there for a whole batch."""

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            value = loss()
        value.backward()

    return measure_flops(step)


def measure_flops(run: Callable[[], object]) -> float:
    """FLOPs of matrix products, convolutions and attention in `run()` (a multiply and an add count as two).

    `run` is called once, as it is: for a training step let it do one forward and backward pass over a whole batch.
    Element-wise work is not counted, as usual.
    """
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION) as counter:
        run()
    return float(counter.get_total_flops())
