"""Counting the calls of networks: those that Python makes, and those in a replayed CUDA graph.

Under a replay no Python runs, so no hook sees its calls; and to record a graph the networks are called when nobody
asked for it. Whoever replays therefore says so to the counters: `uncounted` while it records, `add_calls` when it
replays. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class CallCount:
    """A forward hook that counts the calls of the network it is registered with."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: object) -> None:
        self.calls += 1


def _counters(network: Any) -> list[CallCount]:
    return [hook for hook in network._forward_hooks.values() if isinstance(hook, CallCount)]


def add_calls(network: Any, calls: int) -> None:
    """Count calls of a network that no hook saw."""
    for counter in _counters(network):
        counter.calls += calls


@contextmanager
def uncounted(networks: Iterable[Any]) -> Iterator[None]:
    """Counters that are registered with the networks do not count what is called, or added, in the block."""
    before = [(counter, counter.calls) for network in networks for counter in _counters(network)]
    try:
        yield
    finally:
        for counter, calls in before:
            counter.calls = calls
