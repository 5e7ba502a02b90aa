"""Dropout where processes share a batch: each row loses what it would lose if one process had all rows.

Masks are drawn for the whole batch in every process, from one seed, and each takes its own rows' of them. That costs
little beside a network, and what processes learn does not depend on how many they are. In compiled code, which draws in
a way of its own, every process draws for its own rows instead.

Axis legend: B rows of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional


@contextmanager
def dropout_of_whole(network: nn.Module, places: Tensor, batch_size: int) -> Iterator[None]:
    """Let every `nn.Dropout` of a network draw for the whole batch for the time of the block.

    Args:
        places: of this process's rows in it, int64.
        batch_size: B.
    """
    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, nn.Dropout) and module.p > 0:
                module.forward = partial(_dropped, module, places, batch_size)
                stack.callback(delattr, module, "forward")
        yield


def _dropped(module: nn.Dropout, places: Tensor, batch_size: int, x: Tensor) -> Tensor:
    copies, other = divmod(len(x), len(places))
    if not module.training or other:  # not one row, or several, for each of the batch
        return functional.dropout(x, module.p, module.training)
    drawn = functional.dropout(x.new_ones(copies * batch_size, *x.shape[1:]), module.p, training=True)
    return x * drawn[torch.cat([places + copy * batch_size for copy in range(copies)])]
