"""Dropout where processes share a batch: each row loses what it would lose if one process had all rows.

Masks are drawn for the whole batch in every process, from one seed, and each takes its own rows' of them. That costs
little beside a network, and what processes learn does not depend on how many they are. What is dropped of something
else than the rows of the batch, such as of some of them, is drawn from a stream of each process's own.

Whoever calls `torch.nn.functional.dropout` is served, be it `nn.Dropout` or a network that calls it by itself. What a
fused kernel drops within attention is not: networks that are trained here drop nothing there.

Axis legend: B rows of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from cosmos.runtime.rng import CounterRNG


class DropoutOfWhole(TorchFunctionMode):
    """Let dropout draw for the whole batch for the time of the block.

    Args:
        places: of this process's rows in it, int64.
        batch_size: B.
        own: one stream, which no other process has.
    """

    def __init__(self, places: Tensor, batch_size: int, own: CounterRNG) -> None:
        super().__init__()
        self.places, self.batch_size, self.own = places, batch_size, own

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if function is functional.dropout:
            return self._dropped(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))

    def _dropped(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0 or not input.numel():
            return input
        copies, other = divmod(len(input), len(self.places))
        if other:  # not one row, or several, for each of the batch
            keeps = (self.own.uniform(*input.shape)[0] >= p).to(input.dtype) / (1 - p)
        else:
            whole = functional.dropout(input.new_ones(copies * self.batch_size, *input.shape[1:]), p, training=True)
            keeps = whole[torch.cat([self.places + copy * self.batch_size for copy in range(copies)])]
        return input.mul_(keeps) if inplace else input * keeps
