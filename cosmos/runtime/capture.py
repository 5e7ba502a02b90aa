"""One switch to run a function of tensors as it is, with compiled networks, or as a replayed CUDA graph.

All three go through the same code. "compile" compiles the repeated blocks of the networks inside
(`cosmos.runtime.compilation`); "graph" does that too and then records once, for each shape of the inputs, all that the
call launches (`cosmos.runtime.cuda_graphs`). That may be a whole generation, from noise to tokens, or one step of a
loop whose end depends on the data. Network calls are counted the same under any switch (`cosmos.runtime.call_count`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Protocol, Self, TypeVar, get_args

import torch
from torch import Tensor, nn

from cosmos.io.errors import UserError, unknown
from cosmos.runtime import compilation
from cosmos.runtime.cuda_graphs import CudaGraphCache

Capture = Literal["off", "compile", "graph"]
CAPTURES = get_args(Capture)
HOST = torch.device("cpu")
GRAPHS = 128  # kept of one owner


@dataclass(frozen=True, kw_only=True)
class Capturable:
    """A setting whose loop can be captured; see `captured`. "graph" needs a CUDA device."""

    capture: Capture = "off"

    @property
    def compiled(self) -> bool:
        """Whether functions around the networks run compiled (`cosmos.runtime.compilation.compiled_if`)."""
        return self.capture != "off" and compilation.has_compiler()


class CapturedCalls:
    """What is compiled and recorded for one owner, as long as the owner keeps it and has these networks."""

    _networks: dict[str, nn.Module] | None = None
    _methods: compilation.Compiled | None
    graphs: CudaGraphCache

    def of(self, networks: Mapping[str, nn.Module]) -> Self:
        """The same, of these networks, where they are now."""
        device = _device(networks.values())
        if networks != self._networks or device != self.graphs.device:
            self._networks, self._methods = dict(networks), None
            self.graphs = CudaGraphCache(GRAPHS, networks.values(), device=device)
        return self

    def compiled(self) -> AbstractContextManager[None]:
        """Blocks run compiled within; as they are where there is no compiler, which a recording can do without."""
        if not compilation.has_compiler():
            warnings.warn("Recording without compiling, as there is no C++ compiler; it will be slower.", stacklevel=2)
            return nullcontext()
        if self._methods is None:
            self._methods = compilation.compile_blocks(self._networks)
        return compilation.compiled(self._methods)


def _device(networks: Iterable[nn.Module]) -> torch.device | None:
    """That of their first parameter; every captured call asks for it, and `parameters` takes four times as long."""
    for network in networks:
        for value in network._parameters.values():
            if value is not None:
                return value.device
        found = _device(part for part in network._modules.values() if part is not None)
        if found is not None:
            return found
    return None


class Owner(Protocol):
    """Whose networks a captured function calls."""

    captured_calls: CapturedCalls

    @property
    def device(self) -> torch.device: ...

    def networks(self) -> Mapping[str, nn.Module]:
        """Every network that the function calls, by name."""


def place_of_inputs(capture: Capture, device: torch.device) -> torch.device:
    """Where inputs of a captured function are to lie: for a recording on the host, as it copies them to its buffers."""
    return HOST if capture == "graph" else device


Output = TypeVar("Output", Tensor, tuple[Tensor, ...])


def captured(
    owner: Owner, function: Callable[..., Output], capture: Capture, *constants: Hashable, to_host: bool = False
) -> Callable[..., Output]:
    """`function(*constants, *tensors)` as a function of the tensors, to one tensor or several, under the switch.

    A recording knows its function, its constants and the shapes of its tensors, so the function must depend on nothing
    else but the owner's networks: a method of the owner or a function of a module, not a closure. For a recording its
    tensors may lie on the host (`place_of_inputs`).

    Args:
        to_host: whether outputs are read on the host at once, and nothing is to be queued before: those of a recording
            are then copied there from its buffers, instead of from a copy of them.

    Raises:
        UserError: an unknown switch, no compiler for "compile", or a graph without a CUDA device.
    """

    def run(*inputs: Tensor) -> Output:
        return function(*constants, *inputs)

    if capture not in CAPTURES:
        raise unknown("capture", capture, CAPTURES)
    if capture == "off":
        return run
    if capture == "graph" and owner.device.type != "cuda":
        raise UserError("A graph needs a CUDA device; use capture 'compile' or 'off' here.")
    if capture == "compile" and not compilation.has_compiler():
        raise UserError("Compiling needs a C++ compiler; install one, or use capture 'off'.")
    calls = owner.captured_calls.of(owner.networks())

    # One grad mode for all, whatever the caller's: a compilation is for one, and so are a recording's buffers.
    def compiled(*inputs: Tensor) -> Output:
        with torch.inference_mode(), calls.compiled():
            return run(*inputs)

    def replayed(*inputs: Tensor) -> Output:
        with nullcontext() if torch.is_inference_mode_enabled() else torch.inference_mode():
            key = getattr(function, "__func__", function), constants
            return calls.graphs(key, compiled, *inputs, output_device=HOST if to_host else None)

    return compiled if capture == "compile" else replayed
