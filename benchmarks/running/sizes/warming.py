"""Calls that come before those that are timed, and which sizes fit: nothing of it is asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from baselines.contract import Request
from benchmarks.running.sizes.batch_size import TooMany, best_size
from benchmarks.timing import memory
from benchmarks.timing.protocol import Call, Protocol, warm_up

Like = Callable[[Sequence[Request]], Call]  # makes stand-ins for some requests
Again = Callable[[int], Call]  # makes so many texts that nobody asked for


def warmed(
    like: Like, groups: Sequence[Sequence[Request]], requests: Sequence[Request], protocol: Protocol
) -> list[Call]:
    """Calls for each size that is to be timed, so that nothing is compiled, recorded or allocated in a timing.

    The first size is called until it is steady, any other (the last batch is smaller) once, and so is a single text.

    Args:
        groups: the batches that are to be made.
        requests: of all batches, made or not.
    """
    calls: list[Call] = []
    by_size = {len(group): group for group in reversed(groups)}
    for size in dict.fromkeys(len(group) for group in groups):
        call = partial(like, by_size[size])
        calls += warm_up(call, protocol) if size == len(groups[0]) else [call()]
    singles = requests[: protocol.latency_texts[0] if protocol.rehearse else 1]
    return [*calls, *map(like, [*(groups if protocol.rehearse else ()), *([request] for request in singles)])]


def sizes_that_fit(
    again: Again,
    sweep: tuple[int, ...] | Literal["best"],
    size: int,
    too_many: TooMany,
    protocol: Protocol,
    *,
    alone: bool,
    say: Callable[[str], None],
) -> tuple[tuple[int, ...], list[Call]]:
    """Other numbers of texts at once than `size` that are to be timed, warmed up; and the calls that took.

    Args:
        alone: whether memory that runs out is the fault of the size; else that is raised.
    """
    calls: list[Call] = []
    if sweep == "best":
        best = best_size(again, size, too_many, calls, alone=alone)
        return () if best == size else (best,), calls
    fitting = []
    for other in sweep:
        if other == size:
            continue
        if not too_many.at(other):
            try:
                calls += warm_up(partial(again, other), protocol)
                fitting.append(other)
                continue
            except Exception as error:
                if not alone or not memory.is_exhausted(error):
                    raise
            memory.free()
            too_many.note(other)
        say(f"{other} texts at once do not fit into the device's memory; their speed is not measured")
    return tuple(fitting), calls
