"""A stand-in for `pynvml` with the calls, their arguments and their results as NVML documents them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """As the library's: every failed call raises it."""


@dataclass
class FakeNvml:
    """One GPU, or none; what `missing` names is not supported by it, what `unknown` names not by the driver."""

    NVMLError = NVMLError

    gpus: tuple[str, ...] = ("GPU-aaaa", "GPU-bbbb")
    driver: bool = True
    missing: frozenset[str] = frozenset()
    millijoules: int = 1_000_000
    step: int = 0  # millijoules used between two readings
    milliwatts: int = 350_500
    reasons: int = 0
    processes: tuple[int, ...] = ()
    violations: dict[int, int] = field(default_factory=lambda: {0: 2_000_000_000, 1: 0})
    initialised: int = 0
    asked: list[str] = field(default_factory=list)

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise NVMLError("driver not loaded")
        self.initialised += 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        if index >= len(self.gpus):
            raise NVMLError("invalid argument")
        return self.gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid not in self.gpus:
            raise NVMLError("not found")
        return uuid

    def _of(self, name: str, handle: str, value: Any) -> Any:
        assert handle in self.gpus
        self.asked.append(name)
        if name in self.missing:
            raise NVMLError("not supported")
        return value

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        self.millijoules += self.step
        return int(self._of("energy", handle, self.millijoules))

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:  # noqa: N802
        return int(self._of("power", handle, self.milliwatts))

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:  # noqa: N802
        return int(self._of("limit", handle, 700_000))

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        return int(self._of("clock", handle, {0: 1000, 1: 1755, 2: 3201}[kind]))

    def nvmlDeviceGetMaxClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        return int(self._of("clock", handle, {0: 1111, 1: 1980, 2: 3201}[kind]))

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:  # noqa: N802
        assert sensor == 0
        return int(self._of("temperature", handle, 41))

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:  # noqa: N802
        return int(self._of("events", handle, self.reasons))

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:  # noqa: N802
        return int(self._of("throttle", handle, self.reasons))

    def nvmlDeviceGetViolationStatus(self, handle: str, policy: int) -> Any:  # noqa: N802
        return self._of("violation", handle, SimpleNamespace(referenceTime=0, violationTime=self.violations[policy]))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:  # noqa: N802
        return list(self._of("processes", handle, [SimpleNamespace(pid=pid) for pid in self.processes]))
