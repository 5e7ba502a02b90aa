"""Counting the floating-point operations of a piece of code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count, shape_wrapper

from cosmos.runtime.all_threads import in_all_threads


def _forward(query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


def _backward(grad: torch.Size, query: torch.Size, key: torch.Size, value: torch.Size, *_: object, **__: object) -> int:
    return sdpa_backward_flop_count(grad, query, key, value)


# The counter knows the attention kernels of GPUs only; without these two a model on the CPU would seem cheaper.
_CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: shape_wrapper(_forward),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: shape_wrapper(_backward),
}


@cache
def _is_made_of_others(function: Any) -> bool:
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return isinstance(function, torch._ops.OpOverload) and function.has_kernel_for_dispatch_key(composite)


class FlopCounter(TorchDispatchMode):
    """`torch.utils.flop_counter.FlopCounterMode` without its table of modules, whose hooks take longer than the work of
    a small network."""

    def __init__(self) -> None:
        super().__init__()
        self.formulas, self.flops, self.pauses = {**flop_registry, **_CPU_ATTENTION}, 0, False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done in the block is not counted."""
        before, self.pauses = self.pauses, True
        try:
            yield
        finally:
            self.pauses = before

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.pauses:
            return function(*args, **kwargs)
        formula = self.formulas.get(getattr(function, "_overloadpacket", function))
        if formula is None and _is_made_of_others(function):  # as in inference mode, where it comes here whole
            with self:
                return function.decompose(*args, **kwargs)
        result = function(*args, **kwargs)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=result)
        return result


def measure_flops(run: Callable[[], object], counter: FlopCounter | None = None) -> float:
    """FLOPs of matrix products, convolutions and attention in `run()` (a multiply and an add count as two).

    `run` is called once, as it is; threads that it begins count too. Element-wise work is not counted, as usual, nor is
    what is done while a `counter` that is given is paused.
    """
    total = counter or FlopCounter()
    with in_all_threads(total):
        run()
    return float(total.flops)
