"""What one generation consists of, counted while it runs: network calls and arguments, operations, bytes read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from benchmarks.timing.probes import counting
from cosmos.runtime.flops import FlopCounter, measure_flops

COUNTED_CALLS = 3  # of each network, whose operations are counted in any case; see `NetworkWork`


@dataclass
class NetworkWork:
    """What networks did, and what was done beside their calls.

    Operations are counted in the first three calls of a network only, since counting is slow. The calls after those are
    taken to go on as from the second to the third: by the same again for a network that is called with the same shapes,
    by one position more for one that attends to a growing cache. Both are exact. From where calls are given tensors of
    other sizes on, as those that read what is masked alone, each is counted.

    Attributes:
        calls: network -> how often it was called.
        call_flops: network -> operations of each of its calls; none where others were made in its place.
        elsewhere: operations beside the calls: of what is worked out once before them, such as what times add to the
            inputs of blocks, or after them, or of what made the calls in the networks' place.
        attended: bytes of keys and values that attention read, in all calls.
        texts: how many were made.
    """

    calls: dict[str, int]
    call_flops: dict[str, list[float]]
    elsewhere: float = 0.0
    attended: float = 0.0
    texts: int = 1

    @property
    def flops(self) -> float:
        """Operations of all calls, and beside them."""
        return self.elsewhere + sum(map(sum, self.call_flops.values()))


Around = Callable[[str, Callable[[], Any], tuple[Any, ...], dict[str, Any]], Any]


@contextmanager
def watched(networks: Mapping[str, Any], around: Around) -> Iterator[None]:
    """Have every call of the networks go through `around(name, call, arguments, keywords)`.

    It stands where a compiled module's call stands, so the forward stays free for others to replace.
    """

    def wrapped(name: str, network: Any) -> Callable[..., Any]:
        return lambda *given, **named: around(name, lambda: network._call_impl(*given, **named), given, named)

    before = {name: network._compiled_call_impl for name, network in networks.items()}
    try:
        for name, network in networks.items():
            network._compiled_call_impl = wrapped(name, network)
        yield
    finally:
        for name, network in networks.items():
            network._compiled_call_impl = before[name]


def count(networks: Mapping[str, Any], generate: Callable[[], object], texts: int = 1) -> NetworkWork:
    """Run `generate` once, without capture, and count what its networks do to make so many `texts`.

    Where calls are counted that another network makes in its place (in plain `generate` of a transformer), nothing is
    seen of them; then everything that a second run does is counted, which takes longer.
    """
    work, beside = NetworkWork({}, {name: [] for name in networks}, texts=texts), FlopCounter()
    sizes, vary = dict[str, Any](), set[str]()

    def around(name: str, call: Callable[[], Any], positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        with beside.paused():
            found, here = work.call_flops[name], _sizes((positional, named))
            if len(found) > 1 and here != sizes[name]:
                vary.add(name)
            sizes[name] = here
            if len(found) >= COUNTED_CALLS and name not in vary:
                with _Attended() as attended:
                    out = call()
                found.append(2 * found[-1] - found[-2])
            else:
                out, flops, attended = _counted(call)
                found.append(flops)
        work.attended += attended.bytes
        return out

    with counting(networks) as work.calls, watched(networks, around):
        work.elsewhere = measure_flops(generate, beside)
    if work.calls and not any(map(sum, work.call_flops.values())):
        _, work.elsewhere, attended = _counted(generate)
        work.attended = attended.bytes
    return work


def _counted(run: Callable[[], Any]) -> tuple[Any, float, _Attended]:
    """What `run` returns, its operations, and what attention read."""
    returned: list[Any] = []
    with _Attended() as attended:
        flops = measure_flops(lambda: returned.append(run()))
    return returned[0], flops, attended


class _Attended(TorchFunctionMode):
    """Adds up the sizes of the keys and values that attention is given."""

    bytes = 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.scaled_dot_product_attention:
            self.bytes += sum(part.numel() * part.element_size() for part in args[1:3])
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Arguments:
    """What a network was called with; tensors are copies."""

    positional: tuple[Any, ...]
    named: dict[str, Any]


def arguments(
    networks: Mapping[str, Any], generate: Callable[[], object], calls: Mapping[str, int]
) -> dict[str, Arguments]:
    """Run `generate` once, and keep what each network is called with in the middle of its work.

    Args:
        calls: how often each network is called in a whole generation; `generate` may make fewer calls of some.

    Returns:
        The arguments of the call half way, or of the second where there are fewer (the first may lack what later ones
        have). A network is left out that is handed an object of its own, such as a cache that grows, or in whose
        place another is called.
    """
    calls_of: dict[str, Arguments] = {}
    place = dict.fromkeys(networks, 0)

    def around(name: str, call: Callable[[], Any], positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if place[name] in (0, 1, calls[name] // 2):
            calls_of.pop(name, None)
            with suppress(_OwnObjectError):
                calls_of[name] = Arguments(_copied(positional), _copied(named))
        place[name] += 1
        return call()

    with watched(networks, around):
        generate()
    return calls_of


class _OwnObjectError(Exception):
    """Something that a copy could not stand for."""


def _sizes(value: Any) -> Any:
    """Of the tensors among arguments, as they lie in these."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        value = tuple(value.values())
    elif is_frozen(value):
        value = tuple(vars(value).values())
    return tuple(map(_sizes, value)) if isinstance(value, (tuple, list)) else None


def is_frozen(value: Any) -> bool:
    """Whether it is an object of a frozen dataclass, which no call changes."""
    parameters = getattr(type(value), "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, tuple):
        parts = [_copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [_copied(part) for part in value]
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if is_frozen(value):
        return replace(value, **_copied(vars(value)))
    if value is None or isinstance(value, bool | int | float | str | FunctionType):
        return value
    raise _OwnObjectError
