"""Which weights really worked while texts were made: every operation on tensors is looked at, whoever asked for it.

Hooks of modules see calls of the modules that have them. They do not see a `forward` that is called directly, nor a
network that was not shown. Operations hide from nobody: a network's weight matrices are read once at each call, so how
often they were read is how often it really was called; and products with matrices that no shown network has are work
of a network that was not shown. Only what this thread does is seen, and nothing that a recorded graph replays, so what
is looked at is not captured.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_SAME = {"_to_copy", "clone", "detach", "lift_fresh", "copy_", "contiguous"}  # of these the outcome is what went in
_LOOKED_UP = {"embedding"}


@dataclass(frozen=True)
class WeightsUsed:
    """What was seen.

    Attributes:
        calls: network -> how often its own matrices were read, by the median of those that were; 0 if none was. A
            network whose matrices all belong to another one within it is left out.
        flops: of products and attention.
        strange_flops: of products with matrices that were there before and belong to no shown network.
        operations: all of them.
    """

    calls: Mapping[str, float]
    flops: float
    strange_flops: float
    operations: int


class _Kind(NamedTuple):
    """What is to be known of an operation, worked out when it is first met."""

    composite: bool  # made of other operations
    flops: Callable[..., int] | None  # of products and attention
    reads: bool  # whether what it reads counts
    same: bool  # whether what comes out is what went in


class _WeightWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Most operations are many and small, so that of those that are no product only what comes out is looked at."""

    def __init__(self, networks: Mapping[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.owners = _owners(networks)
        self.known = {_storage(t) for n in networks.values() for t in (*n.parameters(), *n.buffers())}
        self.made: set[int] = set()  # storages that came into being, or were written, meanwhile
        self.copies: dict[tuple[int, int], tuple[int, int]] = {}
        self.strange: set[int] = set()  # copies of matrices that no network has
        self.reads: Counter[tuple[int, int]] = Counter()
        self.flops = self.strange_flops = 0.0
        self.operations = 0
        self._kinds: dict[Any, _Kind] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        kind = self._kinds.get(func)
        if kind is None or kind.composite:
            packet = func._overloadpacket
            with self:  # what is made of other operations is looked at as these
                parts = NotImplemented if packet in flop_registry else func.decompose(*args, **given)
            name, composite = packet.__name__, parts is not NotImplemented
            flops = flop_registry.get(packet)
            self._kinds[func] = kind = _Kind(composite, flops, flops is not None or name in _LOOKED_UP, name in _SAME)
            if composite:
                return parts
        out = func(*args, **given)
        self.operations += 1
        if kind.reads:
            read = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, Tensor)]
            self.reads.update(self._names(read))
            if kind.flops is not None:
                self._product(float(kind.flops(*args, **given, out_val=out)), read)
        if not func.is_view:
            origin = self._origin(func, args) if kind.same else None
            for tensor in (out,) if isinstance(out, Tensor) else tree_leaves(out):
                if isinstance(tensor, Tensor):
                    self._remember(tensor, origin)
        return out

    def _product(self, flops: float, read: list[Tensor]) -> None:
        self.flops += flops
        if any(self._is_strange(tensor) for tensor in read):
            self.strange_flops += flops

    def _names(self, read: list[Tensor]) -> set[tuple[int, int]]:
        places = (_place(tensor) for tensor in read)
        return {self.copies.get(place, place) for place in places} & self.owners.keys()

    def _is_strange(self, tensor: Tensor) -> bool:
        storage = _storage(tensor)
        before = storage not in self.made and storage not in self.known
        return storage in self.strange or (before and tensor.ndim >= 2 and tensor.is_floating_point())

    def _origin(self, func: Any, args: Sequence[Any]) -> tuple[tuple[int, int], bool] | None:
        """Where what is copied lies, and whether it is a matrix that no network has."""
        source = args[1] if func._overloadpacket.__name__ == "copy_" else args[0]
        return (_place(source), self._is_strange(source)) if isinstance(source, Tensor) else None

    def _remember(self, tensor: Tensor, origin: tuple[tuple[int, int], bool] | None) -> None:
        """What came into being, or was written; and of which matrix it is a copy, where it is one."""
        storage = _storage(tensor)
        if storage in self.known:
            return
        self.made.add(storage)
        if origin is None:
            if self.copies or self.strange:  # memory that was used before
                self.copies.pop(_place(tensor), None)
                self.strange.discard(storage)
            return
        place, strange = origin
        self.copies[_place(tensor)] = self.copies.get(place, place)
        (self.strange.add if strange else self.strange.discard)(storage)


def watched(networks: Mapping[str, Any], work: Callable[[], object]) -> WeightsUsed:
    """Do some work, and see which weights it took.

    Args:
        networks: name -> `torch.nn.Module`, as `System.networks` gives.
        work: generates with nothing captured.
    """
    modules = {name: network for name, network in networks.items() if isinstance(network, torch.nn.Module)}
    watch = _WeightWatch(modules)
    with watch:
        work()
    own: dict[str, list[tuple[int, int]]] = {}
    for place, name in watch.owners.items():
        own.setdefault(name, []).append(place)
    calls = {}
    for name, places in own.items():
        reads = [watch.reads[place] for place in places if watch.reads[place]]
        calls[name] = float(statistics.median(reads)) if reads else 0.0
    return WeightsUsed(calls, watch.flops, watch.strange_flops, watch.operations)


def _owners(networks: Mapping[str, torch.nn.Module]) -> dict[tuple[int, int], str]:
    """Where each matrix lies -> the smallest network that has it, as one may have another within."""
    by_size = sorted(networks.items(), key=lambda item: -sum(p.numel() for p in item[1].parameters()))
    return {_place(p): name for name, network in by_size for p in network.parameters() if p.ndim >= 2}


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _place(tensor: Tensor) -> tuple[int, int]:
    return _storage(tensor), int(tensor.storage_offset())
