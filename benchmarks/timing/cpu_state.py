"""What slows a CPU down: a used up share of a container, and heat. Read from Linux; nothing where it does not tell."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = (("sys/fs/cgroup/cpu.stat", "throttled_usec", 1e-6), ("sys/fs/cgroup/cpu/cpu.stat", "throttled_time", 1e-9))
_HEAT = "sys/devices/system/cpu"


@dataclass(frozen=True)
class CpuState:
    """One reading; None is what the machine does not tell.

    Attributes:
        throttled_seconds: how long this container was kept from running, as its share was used up.
        hot: how often cores were slowed by heat.
    """

    throttled_seconds: float | None = None
    hot: int | None = None


def read(root: Path = Path("/")) -> CpuState:
    """All that the machine tells now."""
    return CpuState(_throttled(root), _hot(root / _HEAT))


def _throttled(root: Path) -> float | None:
    for name, key, unit in _CGROUPS:
        try:
            told = (root / name).read_text().partition(f"{key} ")[2]
            return float(told.partition("\n")[0]) * unit
        except (OSError, ValueError):
            continue
    return None


@functools.cache
def _heat_counts(folder: Path) -> tuple[Path, ...]:
    """Looked for once, as it is read beside every timed call."""
    return tuple(folder.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))


def _hot(folder: Path) -> int | None:
    counts = []
    for path in _heat_counts(folder):
        try:
            counts.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return sum(counts) if counts else None
