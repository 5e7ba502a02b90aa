"""CUDA graphs of functions of tensors: recorded once for each shape of the inputs, then replayed.

What is recorded must not wait for the device, branch on data or copy to the host, and depends on nothing but its inputs
and what stays where it is in memory, such as weights.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cosmos.runtime.call_count import CallCount, add_calls, uncounted


class _Graph(NamedTuple):
    """One recorded call."""

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]  # the buffers it reads
    output: Any  # the tensors it fills
    calls: dict[nn.Module, int]  # of networks, that it makes


class CudaGraphCache:
    """Recorded calls by key and shapes of inputs.

    All graphs share one pool of memory: each writes whatever it reads there before it reads it. Inputs lie outside, in
    buffers that are filled before a replay, and outputs are copied out of the pool before another graph is replayed.

    Args:
        capacity: graphs kept at once.
        networks: those that are called; counters registered with them count a replay's
            calls (`cosmos.runtime.call_count`).
        device: where inputs are copied to from pinned memory; None: where they are.
        updates_state: False for functions that may be called once too often: the first call of a shape warms up and is
            recorded, and the graph that was not used for longest goes when there are too many. True where every call
            counts, as in training: the first of a shape is made as it is and is the warm-up, the second is recorded,
            graphs stay, and calls of further shapes are made as they are.
        error_mode: `capture_error_mode` of `torch.cuda.graph`.
    """

    def __init__(
        self,
        capacity: int,
        networks: Iterable[nn.Module] = (),
        *,
        device: torch.device | None = None,
        updates_state: bool = False,
        error_mode: str = "global",
    ) -> None:
        self.capacity, self.networks, self.device = capacity, list(dict.fromkeys(networks)), device
        self.updates_state, self.error_mode = updates_state, error_mode
        self._graphs: OrderedDict[Hashable, _Graph] = OrderedDict()
        self._seen: set[Hashable] = set()  # called once as they are
        self._pool: Any = None

    def __call__(
        self, key: Hashable, function: Callable[..., Any], *inputs: Tensor, output_device: torch.device | None = None
    ) -> Any:
        """`function(*inputs)`: nothing, a tensor or a tuple of them. The same key is taken for the same function.

        Args:
            output_device: where outputs of a replay are copied to; None: where they are.
        """
        key = (key, tuple((tuple(value.shape), value.dtype) for value in inputs))
        graph = self._graphs.get(key)
        if graph is None:
            if self.updates_state and (key not in self._seen or len(self._graphs) == self.capacity):
                self._seen.add(key)
                return function(*inputs)
            graph = self._graphs[key] = self._recorded(function, inputs)
            if len(self._graphs) > self.capacity:
                self._graphs.popitem(last=False)
        for buffer, value in zip(graph.inputs, inputs, strict=True):
            buffer.copy_(value, non_blocking=True)
        graph.replay()
        self._graphs.move_to_end(key)  # while the device works
        for network, calls in graph.calls.items():
            add_calls(network, calls)
        return _copied(graph.output, output_device)

    def _recorded(self, function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> _Graph:
        buffers = tuple(value.to(self.device or value.device, non_blocking=True, copy=True) for value in inputs)
        counters = {network: CallCount() for network in self.networks}
        with uncounted(self.networks), ExitStack() as hooks:
            if not self.updates_state:
                warm_up(function, buffers)
            for network, counter in counters.items():
                hooks.callback(network.register_forward_hook(counter).remove)
            replay, output, self._pool = record(function, buffers, self._pool, self.error_mode)
        return _Graph(replay, buffers, output, {network: counter.calls for network, counter in counters.items()})


def _copied(output: Any, device: torch.device | None) -> Any:
    """Never the buffers themselves, not even where they are on that device; a copy to the host is waited for."""
    if isinstance(output, tuple):
        return tuple(_copied(part, device) for part in output)
    return None if output is None else output.to(device or output.device, copy=True)


def warm_up(function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> None:
    """One call, in which blocks are compiled and libraries allocate their workspaces, on a stream of its own."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        function(*inputs)
    torch.cuda.current_stream().wait_stream(side)


def record(
    function: Callable[..., Any], inputs: tuple[Tensor, ...], pool: Any, error_mode: str
) -> tuple[Callable[[], None], Any, Any]:
    """Record one call as a CUDA graph: what replays it, the tensors that a replay fills, and their pool of memory."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode=error_mode):
        output = function(*inputs)
    return graph.replay, output, graph.pool()
