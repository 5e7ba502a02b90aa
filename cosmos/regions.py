"""Networks changed for the time of a call: blocks compiled, hooks kept silent or told of calls. Nothing stays changed.

The repeated blocks of a network are compiled, not the network: blocks of one class and one shape of input share one
compilation, so twelve cost as much as one (PyTorch's recipe of regional compilation), and what is left between them is
a few small kernels.
"""

from __future__ import annotations

import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

BACKEND = "inductor"
VARIANTS = 1024
"""Compilations kept of one block's code: shapes, dtypes and sizes of all systems of a process. Torch's own limit of 8
would stop a sweep over batch sizes."""


def blocks(networks: Mapping[str, nn.Module]) -> list[nn.Module]:
    """The repeated parts of networks: what their outermost `ModuleList`s hold, or the network if it has none."""
    return list(dict.fromkeys(block for network in networks.values() for block in _repeated(network) or [network]))


def _repeated(network: nn.Module) -> list[nn.Module]:
    if isinstance(network, nn.ModuleList):
        return list(network)
    return [block for child in network.children() for block in _repeated(child)]


def has_compiler() -> bool:
    """Whether the machine has a C++ compiler, which torch's needs on any device."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++"))


@contextmanager
def compiled(compiled_forwards: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Let blocks run their compiled forwards (`compile_blocks`), each for the very shapes it is given.

    Raises:
        torch._dynamo.exc.FailOnRecompileLimitHit: more than `VARIANTS` of one block; it never falls back to eager.
    """
    from torch._dynamo import config  # it takes a second to import

    with config.patch(recompile_limit=VARIANTS, accumulated_recompile_limit=VARIANTS), ExitStack() as stack:
        for block, forward in compiled_forwards.items():
            stack.enter_context(_forward(block, forward))
        yield


def compile_blocks(networks: Mapping[str, nn.Module]) -> dict[nn.Module, Callable[..., Any]]:
    """Block -> its forward, to be compiled at its first call with a new shape; a graph break is an error."""
    return {
        block: torch.compile(block.forward, backend=BACKEND, dynamic=False, fullgraph=True)
        for block in blocks(networks)
    }


@contextmanager
def silent(networks: Mapping[str, nn.Module]) -> Iterator[dict[str, int]]:
    """Keep forward hooks from seeing the calls in the block.

    Yields:
        name -> calls so far, of which the hooks may be told later.
    """
    calls = dict.fromkeys(networks, 0)
    with ExitStack() as stack:
        for network in networks.values():
            stack.callback(_restore, network, network._forward_hooks, network._forward_pre_hooks)
            network._forward_hooks, network._forward_pre_hooks = OrderedDict(), OrderedDict()
        for name, network in networks.items():  # after all are silent, as one network may have two names

            def count(*_: Any, name: str = name) -> None:
                calls[name] += 1

            network.register_forward_hook(count)
        yield calls


def _restore(network: nn.Module, hooks: Any, pre_hooks: Any) -> None:
    network._forward_hooks, network._forward_pre_hooks = hooks, pre_hooks


def tell(networks: Mapping[str, nn.Module], calls: Mapping[str, int]) -> None:
    """Run the hooks of each network as so many calls would, without running the network: they are given no tensors."""
    for network, count in {id(networks[name]): (networks[name], count) for name, count in calls.items()}.values():
        with _forward(network, lambda *_, **__: None):
            for _ in range(count):
                network()


@contextmanager
def _forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another forward for one module, not for its class."""
    assert "forward" not in vars(module), "a module's forward is changed once at a time"
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
