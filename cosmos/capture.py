"""One switch to run a function of tensors as it is, with compiled networks, or as a replayed CUDA graph.

All three go through the same code: the function is called as it is, and either the networks inside are compiled, or
what the call launches is recorded once per shape of its inputs and replayed. Nothing in the sampling loop waits for the
device, branches on data or copies to the host, so the recording is the whole generation from noise to tokens.

Under a graph no Python runs, so forward hooks see the recording alone: count network calls with
`cosmos.samplers.network_calls`, or with the switch off.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from cosmos.errors import UserError, unknown

Capture = Literal["off", "compile", "graph"]
WARM_UPS = 2  # eager calls before a recording, in which libraries allocate their workspaces


class Run(Protocol):
    def __call__(self, *inputs: Tensor) -> Tensor: ...


_GRAPHS: weakref.WeakKeyDictionary[Any, dict[Hashable, _Graph]] = weakref.WeakKeyDictionary()


class _Graph:
    """One recording, with the buffers it reads and the one it writes."""

    def __init__(self, run: Run, inputs: tuple[Tensor, ...]) -> None:
        self.inputs = tuple(value.clone() for value in inputs)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                run(*self.inputs)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.output = run(*self.inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        for buffer, value in zip(self.inputs, inputs, strict=True):
            buffer.copy_(value)
        self.graph.replay()
        return self.output.clone()


def captured(owner: Any, function: Callable[..., Tensor], capture: Capture, *constants: Hashable) -> Run:
    """`function(*constants, *tensors)` as a function of the tensors, under the switch.

    Args:
        owner: a pipeline; graphs live as long as it does, and "compile" compiles its networks in place, once.
        constants: what a recording depends on besides the shapes of the tensors.

    Raises:
        UserError: an unknown switch, or a graph without a CUDA device.
    """

    def run(*inputs: Tensor) -> Tensor:
        return function(*constants, *inputs)

    if capture == "off":
        return run
    if capture == "compile":
        for network in (owner.denoiser, owner.autoencoder.decompressor):
            if network is not None and network._compiled_call_impl is None:
                network.compile()
        return run
    if capture != "graph":
        raise unknown("capture", capture, get_args(Capture))
    if owner.device.type != "cuda":
        raise UserError("A graph needs a CUDA device; use capture 'compile' or 'off' here.")

    def replay(*inputs: Tensor) -> Tensor:
        graphs = _GRAPHS.setdefault(owner, {})
        key = (constants, tuple((tuple(value.shape), value.dtype) for value in inputs))
        if key not in graphs:
            graphs[key] = _Graph(run, inputs)
        return graphs[key](*inputs)

    return replay
