"""Which weights really worked while texts were made: every operation on tensors is looked at, whoever asked for it.

Hooks of modules see calls of the modules that have them. They do not see a `forward` that is called directly, nor a
network that was not shown. Operations hide from nobody: a network's weight matrices are read once at each call, so how
often they were read is how often it really was called; and products with matrices that no shown network has are work
of a network that was not shown. What this thread does is seen, and every thread that is begun meanwhile, but nothing
that a recorded graph replays, so what is looked at is not captured.

A matrix that was there before is told from one that was made meanwhile by the operations that made it. Some makers are
no operations (`torch.from_numpy`, a buffer), and what they make looks as if it had been there. So a product with a
weight of a shown network is that network's work, whatever goes in; and whoever looks a second time, at other requests,
takes for weights only what has the same numbers both times.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from cosmos.runtime.all_threads import in_all_threads

_SAME = {"_to_copy", "clone", "detach", "lift_fresh", "copy_", "contiguous"}  # of these the outcome is what went in
_LOOKED_UP = {"embedding"}
_ADDED_FIRST = {"addmm", "baddbmm"}  # whose first tensor is added to the product
_NUMBERS = 64  # of a matrix, by which it is known again

Numbers = tuple[tuple[int, ...], tuple[float, ...]]  # a matrix's shape and some of its numbers


@dataclass(frozen=True)
class WeightsUsed:
    """What was seen.

    Attributes:
        calls: network -> how often its own matrices were read, by the median of those that were; 0 if none was. A
            network whose matrices all belong to another one within it is left out.
        flops: of products and attention.
        strange_flops: of products of which one matrix was there before and none belongs to a shown network.
        operations: all of them.
        strange: numbers of such matrices -> FLOPs of their products.
    """

    calls: Mapping[str, float]
    flops: float
    strange_flops: float
    operations: int
    strange: Mapping[frozenset[Numbers], float] = field(default_factory=dict)

    def strange_again(self, other: WeightsUsed) -> float:
        """FLOPs of products with matrices of no shown network that had the same numbers when other requests were
        answered, as weights have and noise has not."""
        seen = frozenset[Numbers]().union(*other.strange)
        return sum(flops for matrices, flops in self.strange.items() if matrices & seen)


class _Kind(NamedTuple):
    """What is to be known of an operation, worked out when it is first met."""

    composite: bool  # made of other operations
    flops: Callable[..., int] | None  # of products and attention
    reads: bool  # whether what it reads counts
    same: bool  # whether what comes out is what went in
    factors: slice  # which arguments are multiplied


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
        self.strange_products: dict[frozenset[Numbers], float] = defaultdict(float)
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
            reads = flops is not None or name in _LOOKED_UP
            self._kinds[func] = kind = _Kind(composite, flops, reads, name in _SAME, _factors(name))
            if composite:
                return parts
        out = func(*args, **given)
        self.operations += 1
        if kind.reads:
            read = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, Tensor)]
            self.reads.update(self._names(read))
            if kind.flops is not None:
                factors = [factor for factor in args[kind.factors] if isinstance(factor, Tensor)]
                self._product(float(kind.flops(*args, **given, out_val=out)), factors)
        if not func.is_view:
            origin = self._origin(func, args) if kind.same else None
            for tensor in (out,) if isinstance(out, Tensor) else tree_leaves(out):
                if isinstance(tensor, Tensor):
                    self._remember(tensor, origin)
        return out

    def _product(self, flops: float, factors: list[Tensor]) -> None:
        self.flops += flops
        if any(self._is_shown(tensor) for tensor in factors):
            return
        strange = [tensor for tensor in factors if self._is_strange(tensor)]
        if strange:
            self.strange_flops += flops
            self.strange_products[frozenset(map(_numbers, strange))] += flops

    def _is_shown(self, tensor: Tensor) -> bool:
        """Whether it belongs to a shown network, in part or as a copy."""
        place = _place(tensor)
        return self.copies.get(place, place)[0] in self.known

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
    with in_all_threads(watch):
        work()
    own: dict[str, list[tuple[int, int]]] = {}
    for place, name in watch.owners.items():
        own.setdefault(name, []).append(place)
    calls = {}
    for name, places in own.items():
        reads = [watch.reads[place] for place in places if watch.reads[place]]
        calls[name] = float(statistics.median(reads)) if reads else 0.0
    return WeightsUsed(calls, watch.flops, watch.strange_flops, watch.operations, dict(watch.strange_products))


def _owners(networks: Mapping[str, torch.nn.Module]) -> dict[tuple[int, int], str]:
    """Where each matrix lies -> the smallest network that has it, as one may have another within."""
    by_size = sorted(networks.items(), key=lambda item: -sum(p.numel() for p in item[1].parameters()))
    return {_place(p): name for name, network in by_size for p in network.parameters() if p.ndim >= 2}


def _factors(name: str) -> slice:
    """Of a product's arguments, those that are multiplied: neither a bias nor a mask of attention."""
    if "attention" in name:
        return slice(3)
    return slice(1, 3) if name in _ADDED_FIRST else slice(2)


def _numbers(matrix: Tensor) -> Numbers:
    """Its shape, and some of its numbers, evenly taken."""
    size = matrix.numel()
    flat = torch.arange(0, size, max(1, size // _NUMBERS), device=matrix.device)
    return tuple(matrix.shape), tuple(matrix.detach()[torch.unravel_index(flat, matrix.shape)].tolist())


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _place(tensor: Tensor) -> tuple[int, int]:
    return _storage(tensor), int(tensor.storage_offset())
