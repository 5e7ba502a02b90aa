"""What the harness sees for itself: calls of networks, their parameters, and what else the machine is doing."""

from __future__ import annotations

import functools
import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from baselines.contract import CallCount
from benchmarks.records.schema import Network


@contextmanager
def counting(networks: Mapping[str, Any]) -> Iterator[dict[str, int]]:
    """Count the forward calls of each network while the block runs, also of a `forward` that is called directly.

    Args:
        networks: name -> `torch.nn.Module`, as `System.networks` gives.

    Yields:
        name -> calls, filled when the block ends.
    """
    calls: dict[str, int] = {}
    counters = {name: CallCount() for name in networks}
    handles = [network.register_forward_hook(counters[name]) for name, network in networks.items()]
    direct = {name: _DirectCalls(network) for name, network in networks.items() if hasattr(network, "forward")}
    try:
        yield calls
    finally:
        for handle in (*handles, *direct.values()):
            handle.remove()
        seen = {
            name: counter.calls + direct[name].calls if name in direct else counter.calls
            for name, counter in counters.items()
        }
        calls.update(seen)


class _DirectCalls:
    """Counts calls of a module's `forward` that do not come through the module's own call, which hooks do not see."""

    def __init__(self, network: Any) -> None:
        self.calls, self._depth, self._network = 0, 0, network
        self._own = network.__dict__.get("forward")  # another may have replaced it
        forward = network.forward
        self._handles = (
            network.register_forward_pre_hook(self._enter),
            network.register_forward_hook(self._leave, always_call=True),
        )

        @functools.wraps(forward)  # libraries look at the signature for what a network takes
        def counted(*given: Any, **named: Any) -> Any:
            self.calls += not self._depth
            return forward(*given, **named)

        network.forward = counted

    def _enter(self, *_: object) -> None:
        self._depth += 1

    def _leave(self, *_: object) -> None:
        self._depth -= 1

    def remove(self) -> None:
        """Leave the module as it was."""
        for handle in self._handles:
            handle.remove()
        if self._own is None:
            del self._network.forward
        else:
            self._network.forward = self._own


def measure(networks: Mapping[str, Any]) -> dict[str, Network]:
    """Parameters of each network, and how many of them are trained."""
    return {name: _count(network.parameters()) for name, network in networks.items()}


def total(networks: Mapping[str, Any]) -> Network:
    """Parameters of all networks together: what two of them share, or one has within another, counts once."""
    return _count({id(p): p for network in networks.values() for p in network.parameters()}.values())


def _count(parameters: Iterable[Any]) -> Network:
    every = list(parameters)
    return Network(sum(p.numel() for p in every), sum(p.numel() for p in every if p.requires_grad))


class OtherLoad:
    """How much of the machine other processes used since this was made."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._own = _own_seconds()
        self._busy = _busy_seconds()

    def used(self) -> tuple[float, float] | None:
        """CPU seconds that others used, and that all cores had; None where the system does not tell."""
        busy, before = _busy_seconds(), self._busy
        available = (time.monotonic() - self._wall) * (os.cpu_count() or 1)
        if busy is None or before is None or available <= 0:
            return None
        return (busy - before) - (_own_seconds() - self._own), available

    def share(self) -> float | None:
        """Others' share of all cores in [0, 1]; None where the system does not tell."""
        used = self.used()
        return None if used is None else min(1.0, max(0.0, used[0] / used[1]))


def _own_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def _busy_seconds() -> float | None:
    """CPU seconds all processes have used since the machine started (Linux's /proc/stat: user, nice, system, irqs)."""
    try:
        numbers = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq = numbers
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
