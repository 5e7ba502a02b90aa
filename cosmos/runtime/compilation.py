"""Networks whose blocks are compiled for the time of a call. Nothing stays changed.

The repeated blocks of a network are compiled, not the network: blocks of one class and one shape of input share one
compilation, so twelve cost as much as one (PyTorch's recipe of regional compilation). What lies around the blocks is
compiled where it is worth it: methods that the class of any part of a network names in `compiles`, and functions of
tensors (`compiled_if`) where their caller is told to.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import nn

from cosmos.io.errors import UserError
from cosmos.io.files import cache_folder, make_folder
from cosmos.runtime import dropout

F = TypeVar("F", bound=Callable[..., Any])

BACKEND = "inductor"
FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # of what it has made, by hashes of code, sizes, versions and device
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


@functools.cache
def has_compiler() -> bool:
    """Whether the machine has a C++ compiler, which torch's needs on any device."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++"))


def keep_compilations() -> None:
    """Keep what the compiler makes in the folder for caches, for later stages and runs, unless the user has said where
    (`TORCHINDUCTOR_CACHE_DIR`) or nothing can be written there; then it lies where torch has it."""
    if FOLDER in os.environ:
        return
    try:
        folder = cache_folder() / "compiled"
        make_folder(folder)
    except UserError:
        return
    if os.access(folder, os.W_OK):
        os.environ[FOLDER] = str(folder)


Compiled = list[tuple[nn.Module, str, Callable[..., Any]]]  # module, name of its method, and what runs in its place


def compile_blocks(networks: Mapping[str, nn.Module], training: bool = False) -> Compiled:
    """Methods to be compiled at their first call: forward of every block, and what parts of networks have named; and in
    training the dropouts in them, which are drawn in another way (`cosmos.runtime.dropout`).

    Every size is compiled by itself, which is faster once it is made; whoever trains pads batches to few lengths. (With
    a symbolic length, the backward pass of a decompressor's layer that Inductor of torch 2.11 makes reads beyond a
    workspace.)

    Args:
        training: a graph break is no error then.
    """
    keep_compilations()
    methods = [(block, "forward") for block in blocks(networks)]
    parts = dict.fromkeys(part for network in networks.values() for part in network.modules())
    methods += [(part, name) for part in parts for name in getattr(part, "compiles", ())]
    how: dict[str, Any] = {"backend": BACKEND, "dynamic": False, "fullgraph": not training}
    found = [(module, name, torch.compile(getattr(module, name), **how)) for module, name in methods]
    drops = [part for part in parts if training and type(part) is nn.Dropout]
    # Bound to it, and not given it by a `partial`, with which every layer would be compiled by itself.
    return found + [(drop, "forward", MethodType(dropout.forward_of, drop)) for drop in drops]


@contextmanager
def compiled(methods: Compiled) -> Iterator[None]:
    """Let modules run these methods in place of their own (`compile_blocks`).

    A module's own method is replaced for the time of the block: the same network also runs as it is, and hooks, which
    `torch.nn.Module.compile` would compile too, stay outside.

    Raises:
        torch._dynamo.exc.FailOnRecompileLimitHit: more than `VARIANTS` of one block; it never falls back to eager.
    """
    from torch._dynamo import config  # it takes a second to import

    # Blocks are no larger than what processes exchange at a time, so none is cut for their sake.
    limits = config.patch(recompile_limit=VARIANTS, accumulated_recompile_limit=VARIANTS, optimize_ddp=False)
    with limits, ExitStack() as stack:
        for module, name, function in methods:
            assert name not in vars(module), "a module's method is changed once at a time"
            setattr(module, name, function)
            stack.callback(delattr, module, name)
        yield


def compiled_if(compiled: bool, function: F, *, static: bool = False) -> F:
    """A function of tensors without weights, as it is, or compiled, which is to be called within `compiled`.

    `static`: for each size by itself, which is faster once it is made, where few sizes come up.
    """
    return _compiled_function(function, BACKEND, static) if compiled else function


@functools.cache
def _compiled_function(function: Callable[..., Any], backend: Any, static: bool = False) -> Any:
    return torch.compile(function, backend=backend, fullgraph=True, dynamic=False if static else None)
