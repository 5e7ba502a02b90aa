"""Networks whose blocks are compiled for the time of a call. Nothing stays changed.

The repeated blocks of a network are compiled, not the network: blocks of one class and one shape of input share one
compilation, so twelve cost as much as one (PyTorch's recipe of regional compilation). What lies around the blocks is
compiled where it is worth it: methods that the class of a network or block names in `compiles`, and functions that are
`fusible`.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec

import torch
from torch import Tensor, nn

P = ParamSpec("P")

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


Compiled = list[tuple[nn.Module, str, Callable[..., Any]]]
"""Module, name of its method, and that method compiled."""


def compile_blocks(networks: Mapping[str, nn.Module], training: bool = False) -> Compiled:
    """Methods to be compiled at their first call: forward of every block, and what networks and blocks name in
    `compiles`.

    Args:
        training: batches come in many lengths, so that the second size is compiled for all others too; else every size
            is compiled for itself, which is faster once it is made, and a graph break is an error.
    """
    methods = [(block, "forward") for block in blocks(networks)]
    both = dict.fromkeys([*networks.values(), *blocks(networks)])
    methods += [(module, name) for module in both for name in getattr(module, "compiles", ())]
    how: dict[str, Any] = {"backend": BACKEND, "dynamic": None if training else False, "fullgraph": not training}
    return [(module, name, torch.compile(getattr(module, name), **how)) for module, name in methods]


@contextmanager
def compiled(methods: Compiled) -> Iterator[None]:
    """Let modules run their compiled methods (`compile_blocks`), and fusible functions run compiled.

    Raises:
        torch._dynamo.exc.FailOnRecompileLimitHit: more than `VARIANTS` of one block; it never falls back to eager.
    """
    global _fusing
    from torch._dynamo import config  # it takes a second to import

    limits = config.patch(recompile_limit=VARIANTS, accumulated_recompile_limit=VARIANTS)
    with limits, ExitStack() as stack:
        for module, name, function in methods:
            stack.enter_context(_method(module, name, function))
        before, _fusing = _fusing, True
        try:
            yield
        finally:
            _fusing = before


_fusing = False  # whether fusible functions run compiled


def fusible(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """A function of tensors without weights, which runs compiled within `compiled` and as it is elsewhere."""
    fused: dict[Any, Callable[P, Tensor]] = {}  # by backend

    @functools.wraps(function)
    def run(*arguments: P.args, **named: P.kwargs) -> Tensor:
        if not _fusing:
            return function(*arguments, **named)
        if BACKEND not in fused:
            fused[BACKEND] = torch.compile(function, backend=BACKEND, fullgraph=True)
        return fused[BACKEND](*arguments, **named)

    return run


@contextmanager
def _method(module: nn.Module, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Another method for one module, not for its class."""
    assert name not in vars(module), "a module's method is changed once at a time"
    setattr(module, name, function)
    try:
        yield
    finally:
        delattr(module, name)
