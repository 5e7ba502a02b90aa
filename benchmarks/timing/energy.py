"""Energy by the counters of the hardware: a GPU's through NVML, processor packages' through RAPL where it is readable.

Both count on by themselves, so nothing has to be sampled while texts are made: a pass takes the difference. They count
everything that the device uses, idling included, and whatever else runs on it; a pass is therefore judged by who else
was there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.timing.gpu_state import open_gpu

POWERCAP = Path("/sys/class/powercap")  # Linux's folder of RAPL, of Intel's and of AMD's processors
GPU, CPU = "GPU", "CPU"


@dataclass(frozen=True)
class EnergyCounter:
    """One counter.

    Attributes:
        name: `GPU`, or `CPU` for all packages of the processor.
        joules: what it has counted so far; None where it cannot be read any more.
        wraps_at: joules after which it begins again at nought, None if never.
    """

    name: str
    joules: Callable[[], float | None]
    wraps_at: float | None = None


def counters(device: str, *, nvml: Any = None, powercap: Path = POWERCAP) -> tuple[EnergyCounter, ...]:
    """The counters that this process may read of what a device's work uses: the processor's always, the GPU's too."""
    gpu = open_gpu(device, nvml)
    found = []
    if gpu is not None and gpu.energy_millijoules() is not None:
        found.append(EnergyCounter(GPU, lambda: _scaled(gpu.energy_millijoules(), 1e-3)))
    return (*found, *_packages(powercap))


def read(every: Sequence[EnergyCounter]) -> list[float | None]:
    """What the counters say now, in their order."""
    return [counter.joules() for counter in every]


def used(
    every: Sequence[EnergyCounter], before: Sequence[float | None], after: Sequence[float | None]
) -> dict[str, float]:
    """Joules between two readings by name; the packages of a processor together. A name is left out where one of its
    counters could not be read."""
    by_name: dict[str, list[float | None]] = {}
    for counter, first, last in zip(every, before, after, strict=True):
        by_name.setdefault(counter.name, []).append(_difference(counter, first, last))
    told = {name: [part for part in parts if part is not None] for name, parts in by_name.items()}
    return {name: sum(parts) for name, parts in told.items() if len(parts) == len(by_name[name])}


def why_none(device: str, *, powercap: Path = POWERCAP) -> str:
    """Why there is no counter: a sentence's end."""
    if device.startswith("cuda"):
        return "NVML tells no energy of this GPU, and RAPL of the processor is not readable"
    if not list(powercap.glob("intel-rapl:*")):
        return "this processor has no RAPL counter that Linux shows"
    return "RAPL is readable by root only; let this user read energy_uj in /sys/class/powercap"


def _packages(powercap: Path) -> list[EnergyCounter]:
    """One counter for each package of the processor; its cores and memory are parts of it and not counted again."""
    found = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        name = _text(folder / "name")
        if name is None or not name.startswith("package") or _text(folder / "energy_uj") is None:
            continue
        most = _scaled(_number(folder / "max_energy_range_uj"), 1e-6)
        found.append(EnergyCounter(CPU, partial(_joules, folder / "energy_uj"), most))
    return found


def _joules(path: Path) -> float | None:
    return _scaled(_number(path), 1e-6)


def _difference(counter: EnergyCounter, before: float | None, after: float | None) -> float | None:
    if before is None or after is None:
        return None
    if after < before:
        return None if counter.wraps_at is None else after - before + counter.wraps_at
    return after - before


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isdigit() else None


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value * unit
