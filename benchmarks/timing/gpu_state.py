"""What an NVIDIA GPU says of itself: clocks, power, energy, what slows it, and who else computes on it.

Read from NVML, the driver's library, through `nvidia-ml-py`. Neither torch nor CUDA is needed. Where there is no GPU,
no driver or no `nvidia-ml-py`, there is nothing to read, and `open_gpu` says None; where a GPU does not tell one thing
(a laptop's has no energy counter, a part of a shared one no clocks), that thing alone is None.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# NVML's bits of what keeps clocks low at the moment (`nvmlClocksEventReasons`), of those that slow work down. Left out
# are an idle GPU, clocks that somebody chose, and a display's.
_SLOWED_BY = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}
_CHOSEN = 0x2  # the bit of clocks that somebody set lower than the GPU could go
_POLICIES = {0: "power", 1: "thermal"}  # NVML_PERF_POLICY_POWER and _THERMAL, whose time is counted by the driver
_SM, _MEMORY, _TEMPERATURE = 1, 2, 0  # NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU


@dataclass(frozen=True)
class GpuState:
    """One reading; None is what the GPU does not tell.

    Attributes:
        clock_mhz: of the multiprocessors now; `clock_limit_mhz` is the highest there is.
        energy_millijoules: used since the driver was loaded.
        slowed_by: what keeps clocks low now, in words; empty if nothing does.
        clocks_set: whether somebody has set clocks lower than the GPU could go.
        throttled_seconds: cause ("power", "thermal") -> how long it has kept clocks low since the driver was loaded.
        other_processes: how many other processes have work on the GPU.
    """

    clock_mhz: int | None = None
    clock_limit_mhz: int | None = None
    memory_clock_mhz: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: int | None = None
    energy_millijoules: int | None = None
    slowed_by: tuple[str, ...] | None = None
    clocks_set: bool | None = None
    throttled_seconds: Mapping[str, float] = field(default_factory=dict)
    other_processes: int | None = None


class Gpu:
    """One GPU that NVML knows."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def read(self) -> GpuState:
        """All that the GPU tells now. It takes a few milliseconds, so never within what is timed."""
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # drivers before 535 know it by its earlier name only
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return GpuState(
            clock_mhz=self._ask("nvmlDeviceGetClockInfo", _SM),
            clock_limit_mhz=self._ask("nvmlDeviceGetMaxClockInfo", _SM),
            memory_clock_mhz=self._ask("nvmlDeviceGetClockInfo", _MEMORY),
            power_watts=_scaled(self._ask("nvmlDeviceGetPowerUsage"), 1e-3),
            power_limit_watts=_scaled(self._ask("nvmlDeviceGetEnforcedPowerLimit"), 1e-3),
            temperature_celsius=self._ask("nvmlDeviceGetTemperature", _TEMPERATURE),
            energy_millijoules=self.energy_millijoules(),
            slowed_by=None if bits is None else tuple(word for bit, word in _SLOWED_BY.items() if bits & bit),
            clocks_set=None if bits is None else bool(bits & _CHOSEN),
            throttled_seconds=self._throttled(),
            other_processes=self._others(),
        )

    def energy_millijoules(self) -> int | None:
        """Energy used since the driver was loaded: a counter that the GPU moves on some ten times a second."""
        value = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if value is None else int(value)

    def _throttled(self) -> dict[str, float]:
        times = {word: self._ask("nvmlDeviceGetViolationStatus", policy) for policy, word in _POLICIES.items()}
        return {word: 1e-9 * time.violationTime for word, time in times.items() if time is not None}

    def _others(self) -> int | None:
        """Processes on the GPU but this one. In a container NVML tells process ids of the host, by which this one is
        not found: then one of them is this one, if it holds the device at all."""
        every = self._ask("nvmlDeviceGetComputeRunningProcesses")
        if every is None:
            return None
        ids = {process.pid for process in every}
        if os.getpid() in ids:
            return len(ids) - 1
        return len(ids) - (1 if ids and _holds_a_device() else 0)

    def _ask(self, name: str, *arguments: Any) -> Any:
        """What a function of NVML says of this GPU; None where the GPU, the driver or the library does not know it."""
        function: Callable[..., Any] | None = getattr(self._nvml, name, None)
        if function is None:
            return None
        try:
            return function(self._handle, *arguments)
        except self._nvml.NVMLError:
            return None


def open_gpu(device: str, nvml: Any = None) -> Gpu | None:
    """The GPU that torch calls `device` ("cuda", "cuda:1"); None for another device, or where NVML cannot be asked.

    Args:
        nvml: the module to ask; `pynvml` of nvidia-ml-py unless given.
    """
    if not device.startswith("cuda"):
        return None
    nvml = nvml or _library()
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
        return Gpu(nvml, _handle(device, nvml))
    except (nvml.NVMLError, IndexError):
        return None


def _library() -> Any:
    try:
        import pynvml
    except ImportError:
        return None
    return pynvml


def _handle(device: str, nvml: Any) -> Any:
    """NVML counts all GPUs in the order of the bus, and torch those that CUDA_VISIBLE_DEVICES lets it see, the fastest
    first: so torch is asked for the GPU's own number, if it is at work already."""
    index = int(device.partition(":")[2] or 0)
    uuid = _uuid(index)
    if uuid is None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        name = str(index) if visible is None else visible.split(",")[index].strip()
        if name.isdigit():
            return nvml.nvmlDeviceGetHandleByIndex(int(name))
        uuid = name  # as "GPU-..." or "MIG-...", both of which NVML finds
    return nvml.nvmlDeviceGetHandleByUUID(uuid)


def _uuid(index: int) -> str | None:
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    number = str(getattr(torch.cuda.get_device_properties(index), "uuid", ""))
    return f"GPU-{number.removeprefix('GPU-')}" if number else None


def _holds_a_device() -> bool:
    torch: Any = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def _scaled(value: Any, unit: float) -> float | None:
    return None if value is None else value * unit
