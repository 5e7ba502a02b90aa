"""Compiling networks block by block.

A transformer is one block many times. Compiled as a whole it costs a minute for every shape; compiled block by block
(all blocks share one compilation, for their weights are inputs of it) it costs seconds, and what is lost, fusion across
blocks, is little.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import _dynamo as dynamo
from torch import nn

COMPILATIONS = 64  # shapes, dtypes and modes of one kind of block in one process; beyond, torch goes on uncompiled


def repeated_blocks(network: nn.Module) -> list[nn.Module]:
    """The members of all module lists of a network."""
    return [block for module in network.modules() if isinstance(module, nn.ModuleList) for block in module]


def compile_blocks(network: nn.Module) -> None:
    """Compile every repeated block of a network in place, once; names of parameters stay as they are.

    The second shape that a block sees is compiled for all sizes.
    """
    dynamo.config.recompile_limit = max(COMPILATIONS, dynamo.config.recompile_limit)
    dynamo.config.accumulated_recompile_limit = max(8 * COMPILATIONS, dynamo.config.accumulated_recompile_limit)
    for block in repeated_blocks(network):
        if block._compiled_call_impl is None:
            block.compile()


@contextmanager
def compiled(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Blocks compiled for the time of the block of code, if wanted; compiled code hides its operations from counters of
    FLOPs, so that it must not be left behind."""
    before = [(block, block._compiled_call_impl) for block in repeated_blocks(network)]
    if wanted:
        compile_blocks(network)
    try:
        yield
    finally:
        for block, implementation in before:
            block._compiled_call_impl = implementation
