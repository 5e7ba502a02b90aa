"""What goes on while nothing is asked of a system: threads and processes that live on, work on the CPU and the device.

Whatever works then works outside the clock.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

WINDOWS, WINDOW_SECONDS, SETTLE_SECONDS = 3, 0.1, 0.1
THEIRS = ("torch", "tqdm")  # libraries whose threads wait for work of ours, and do none of their own


@dataclass(frozen=True)
class Idle:
    """What was seen.

    Attributes:
        cores: kept busy, by the quietest of some short windows, so that a thread which is just falling asleep does not
            count.
        device: share of the time in which the device was at work likewise; None where there is none.
    """

    cores: float
    device: float | None = None


class Bystanders:
    """The threads of Python and the processes there were before a system was."""

    def __init__(self) -> None:
        self._threads = {id(thread) for thread in threading.enumerate()}
        self._children = {child.pid for child in _children()}

    def others(self) -> tuple[str, ...]:
        """Threads and processes that live and were not there then, by name."""
        threads = [t for t in threading.enumerate() if id(t) not in self._threads and not _of_a_library(t)]
        children = [child for child in _children() if child.pid not in self._children]
        return (*(f"thread {t.name}" for t in threads), *(f"process {child.pid}" for child in children))


def _of_a_library(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    module = type(thread).__module__ if target is None else getattr(target, "__module__", None) or ""
    return module.partition(".")[0] in THEIRS


def _children() -> list[Any]:
    found: list[Any] = psutil.Process().children(recursive=True)
    return found


def cpu_seconds() -> float:
    """Of this process, all its threads, and its children that live."""
    spent = time.process_time()
    for child in _children():
        try:
            times = child.cpu_times()
        except psutil.Error:  # it has just ended
            continue
        spent += times.user + times.system
    return spent


def look(
    device: str,
    *,
    cpu: Callable[[], float] = cpu_seconds,
    wall: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Idle:
    """Ask nothing of the system for some tenths of a second, and see what works meanwhile."""
    sleep(SETTLE_SECONDS)
    cores, at_work = [], []
    for _ in range(WINDOWS):
        if device.startswith("cuda"):
            at_work.append(_waited(device, wall, sleep))
        spent, began = cpu(), wall()
        sleep(WINDOW_SECONDS)
        worked = cpu() - spent
        cores.append(max(0.0, worked) / max(WINDOW_SECONDS, wall() - began))
    return Idle(min(min(cores), float(os.cpu_count() or 1)), min(at_work) if at_work else None)


def _waited(device: str, wall: Callable[[], float], sleep: Callable[[float], None]) -> float:
    """The share of a window in which the device still had something to do when it had been given nothing."""
    import torch

    torch.cuda.synchronize(device)
    began = wall()
    sleep(WINDOW_SECONDS / 10)
    asked = wall()
    torch.cuda.synchronize(device)
    ended = wall()
    return (ended - asked) / (ended - began)
