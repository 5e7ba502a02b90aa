"""One switch to run a function of tensors as it is, with compiled networks, or as a replayed CUDA graph.

All three go through the same code. "compile" compiles the repeated blocks of the networks inside (`cosmos.regions`);
"graph" does that too and then records once, for each shape of the inputs, all that the call launches. What is recorded
does not wait for the device, branch on data or copy to the host, so it may be a whole generation, from noise to tokens,
or one step of a loop whose end depends on the data.

Under a replay no Python runs. Forward hooks of the networks are told of as many calls as the recording made, and of
none while it was made, so that whoever counts calls with hooks counts the same under any switch.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, get_args

import torch
from torch import Tensor, nn

from cosmos import regions
from cosmos.errors import UserError, unknown

Capture = Literal["off", "compile", "graph"]
RECORDINGS = 128  # kept of one owner; the one that was not used for longest goes first


@dataclass(frozen=True, kw_only=True)
class Capturable:
    """A setting whose loop can be captured; see `captured`. "graph" needs a CUDA device."""

    capture: Capture = "off"


class Owner(Protocol):
    """Whose networks a captured function calls."""

    @property
    def device(self) -> torch.device: ...

    def networks(self) -> Mapping[str, nn.Module]:
        """Every network that the function calls, by name."""
        ...


Output = TypeVar("Output", Tensor, tuple[Tensor, ...])


def captured(
    owner: Owner, function: Callable[..., Output], capture: Capture, *constants: Hashable
) -> Callable[..., Output]:
    """`function(*constants, *tensors)` as a function of the tensors, to one tensor or several, under the switch.

    A recording knows its function, its constants and the shapes of its tensors, so the function must depend on nothing
    else but the owner's networks: a method of the owner or a function of a module, not a closure.

    Args:
        owner: what is compiled and recorded lives as long as it does, or until it has other networks.

    Raises:
        UserError: an unknown switch, no compiler for "compile", or a graph without a CUDA device.
    """

    def run(*inputs: Tensor) -> Output:
        return function(*constants, *inputs)

    if capture not in get_args(Capture):
        raise unknown("capture", capture, get_args(Capture))
    if capture == "off":
        return run
    if capture == "graph" and owner.device.type != "cuda":
        raise UserError("A graph needs a CUDA device; use capture 'compile' or 'off' here.")
    if capture == "compile" and not regions.has_compiler():
        raise UserError("Compiling needs a C++ compiler; install one, or use capture 'off'.")
    kept = _kept(owner)

    # One grad mode for all, whatever the caller's: a compilation is for one, and so are a recording's buffers.
    @torch.inference_mode()
    def compiled(*inputs: Tensor) -> Output:
        with kept.compiled():
            return run(*inputs)

    @torch.inference_mode()
    def replayed(*inputs: Tensor) -> Output:
        shapes = tuple((tuple(value.shape), value.dtype) for value in inputs)
        key = (getattr(function, "__func__", function), constants, shapes)
        if key not in kept.recordings:
            kept.recordings[key] = Recording(compiled, inputs, kept)
            while len(kept.recordings) > RECORDINGS:
                kept.recordings.popitem(last=False)
        kept.recordings.move_to_end(key)
        return kept.recordings[key](*inputs)

    return compiled if capture == "compile" else replayed


@dataclass
class _Kept:
    """What is compiled and recorded for one owner."""

    networks: dict[str, nn.Module]
    methods: regions.Compiled | None = None
    recordings: OrderedDict[Hashable, Recording] = field(default_factory=OrderedDict)
    pool: Any = None  # of memory, one for all recordings

    def compiled(self) -> AbstractContextManager[None]:
        """Blocks run compiled within; as they are where there is no compiler, which a recording can do without."""
        if not regions.has_compiler():
            warnings.warn("Recording without compiling, as there is no C++ compiler; it will be slower.", stacklevel=2)
            return nullcontext()
        if self.methods is None:
            self.methods = regions.compile_blocks(self.networks)
        return regions.compiled(self.methods)


_KEPT: dict[int, _Kept] = {}  # by identity of the owner, which need not be hashable


def _kept(owner: Owner) -> _Kept:
    networks = dict(owner.networks())
    known = _KEPT.get(id(owner))
    if known is None:
        weakref.finalize(owner, _KEPT.pop, id(owner), None)
    if known is None or known.networks != networks:
        known = _KEPT[id(owner)] = _Kept(networks)
    return known


class Recording:
    """What one call launched, with the buffers it reads and those it writes; replayed for inputs of the same shape.

    Recordings of an owner share one pool of memory. Each writes all it reads but its inputs, which lie outside, before
    it reads it, and its output is copied out of the pool before another is replayed.
    """

    def __init__(self, run: Callable[..., Any], inputs: tuple[Tensor, ...], kept: _Kept) -> None:
        self.networks = kept.networks
        self.inputs = tuple(value.clone() for value in inputs)
        with regions.silent(self.networks):
            warm_up(run, self.inputs)
        with regions.silent(self.networks) as calls:
            self.replay, self.output, kept.pool = record(run, self.inputs, kept.pool)
        self.calls = dict(calls)

    def __call__(self, *inputs: Tensor) -> Any:
        for buffer, value in zip(self.inputs, inputs, strict=True):
            buffer.copy_(value)
        self.replay()
        regions.tell(self.networks, self.calls)
        return self.output.clone() if isinstance(self.output, Tensor) else tuple(part.clone() for part in self.output)


def warm_up(run: Callable[..., Any], inputs: tuple[Tensor, ...]) -> None:
    """One call, in which blocks are compiled and libraries allocate their workspaces, on a stream of its own."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run(*inputs)
    torch.cuda.current_stream().wait_stream(side)


def record(run: Callable[..., Output], inputs: tuple[Tensor, ...], pool: Any) -> tuple[Callable[[], None], Output, Any]:
    """Record one call as a CUDA graph.

    Returns:
        what replays it, the tensors that a replay fills, and the pool of memory they lie in.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        output = run(*inputs)
    return graph.replay, output, graph.pool()
