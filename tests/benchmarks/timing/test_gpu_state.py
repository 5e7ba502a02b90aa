"""What a GPU tells, through a stand-in for NVML; and that the stand-in has the real library's signatures."""

from __future__ import annotations

import inspect
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from fake_nvml import FakeNvml

from benchmarks.timing import gpu_state
from benchmarks.timing.gpu_state import open_gpu


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs as NVML numbers them, whatever this machine has."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def opened(nvml: Any, device: str = "cuda") -> gpu_state.Gpu:
    gpu = open_gpu(device, nvml)
    assert gpu is not None
    return gpu


def test_a_gpu_tells_its_state() -> None:
    state = opened(FakeNvml(reasons=0x4 | 0x20, processes=(11, 12))).read()
    assert (state.clock_mhz, state.clock_limit_mhz, state.memory_clock_mhz) == (1755, 1980, 3201)
    assert (state.power_watts, state.power_limit_watts, state.temperature_celsius) == (350.5, 700.0, 41)
    assert state.energy_millijoules == 1_000_000
    assert state.slowed_by == ("power cap", "software thermal slowdown")
    assert state.throttled_seconds == {"power": 2.0, "thermal": 0.0}
    assert state.other_processes == 2


def test_an_idle_gpu_and_chosen_clocks_slow_nothing() -> None:
    state = opened(FakeNvml(reasons=0x1 | 0x2 | 0x100)).read()
    assert state.slowed_by == ()
    assert state.clocks_set is True
    assert opened(FakeNvml(reasons=0x1)).read().clocks_set is False


def test_this_process_is_not_another() -> None:
    assert opened(FakeNvml(processes=(os.getpid(), 12))).read().other_processes == 1
    assert opened(FakeNvml(processes=(os.getpid(),))).read().other_processes == 0
    assert opened(FakeNvml()).read().other_processes == 0


def test_in_a_container_one_of_the_processes_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """There NVML tells process ids of the host."""
    at_work = SimpleNamespace(
        cuda=SimpleNamespace(is_initialized=lambda: True, is_available=lambda: False, device_count=lambda: 0)
    )
    monkeypatch.setitem(sys.modules, "torch", at_work)
    assert opened(FakeNvml(processes=(999_999_001,))).read().other_processes == 0
    assert opened(FakeNvml(processes=(999_999_001, 999_999_002))).read().other_processes == 1


def test_what_a_gpu_does_not_tell_is_none_and_the_rest_stays() -> None:
    missing = frozenset({"energy", "processes", "violation", "events", "throttle", "temperature"})
    state = opened(FakeNvml(missing=missing)).read()
    assert (state.energy_millijoules, state.other_processes, state.slowed_by, state.clocks_set) == (None,) * 4
    assert state.temperature_celsius is None
    assert state.throttled_seconds == {}
    assert state.power_watts == 350.5


def test_an_earlier_driver_knows_the_reasons_by_another_name() -> None:
    assert opened(FakeNvml(missing=frozenset({"events"}), reasons=0x8)).read().slowed_by == ("hardware slowdown",)


class Older(FakeNvml):
    nvmlDeviceGetCurrentClocksEventReasons = None  # type: ignore[assignment]  # noqa: N815
    nvmlDeviceGetViolationStatus = None  # type: ignore[assignment]  # noqa: N815


def test_an_earlier_library_lacks_functions() -> None:
    state = opened(Older(reasons=0x40)).read()
    assert state.slowed_by == ("hardware thermal slowdown",)
    assert state.throttled_seconds == {}


def test_without_a_gpu_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_gpu("cpu", FakeNvml()) is None
    assert open_gpu("cuda", FakeNvml(driver=False)) is None
    assert open_gpu("cuda", FakeNvml(gpus=())) is None
    assert open_gpu("cuda:7", FakeNvml()) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert open_gpu("cuda") is None


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [
        (None, "cuda", "GPU-aaaa"),
        (None, "cuda:1", "GPU-bbbb"),
        ("1", "cuda", "GPU-bbbb"),
        ("1, 0", "cuda:1", "GPU-aaaa"),
        ("GPU-bbbb", "cuda:0", "GPU-bbbb"),
        ("1", "cuda:1", None),
        ("", "cuda", None),
        ("GPU-cccc", "cuda", None),
    ],
)
def test_the_gpu_is_the_one_that_cuda_sees(
    visible: str | None, device: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpu = open_gpu(device, FakeNvml())
    assert (gpu and gpu._handle) == expected


def test_torch_names_the_gpu_where_it_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its order, the fastest first, may be another than that of the bus."""
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_properties=lambda index: SimpleNamespace(uuid="bbbb"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert opened(FakeNvml())._handle == "GPU-bbbb"


def test_the_stand_in_has_the_librarys_signatures() -> None:
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    calls = [name for name in vars(FakeNvml) if name.startswith("nvml")]
    assert len(calls) == 13
    for name in calls:
        own = list(inspect.signature(getattr(FakeNvml, name)).parameters)[1:]
        assert len(inspect.signature(getattr(pynvml, name)).parameters) == len(own), name
    assert issubclass(pynvml.NVMLError, Exception)
    constants = (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM, pynvml.NVML_TEMPERATURE_GPU)
    assert constants == (gpu_state._SM, gpu_state._MEMORY, gpu_state._TEMPERATURE)
    assert set(gpu_state._POLICIES) == {pynvml.NVML_PERF_POLICY_POWER, pynvml.NVML_PERF_POLICY_THERMAL}
    names = {
        "power cap": "SwPowerCap",
        "hardware slowdown": "HwSlowdown",
        "sync boost": "SyncBoost",
        "software thermal slowdown": "SwThermalSlowdown",
        "hardware thermal slowdown": "HwThermalSlowdown",
        "power brake": "HwPowerBrakeSlowdown",
        "board limit": "BoardLimit",
        "reliability": "Reliability",
    }
    bits = {getattr(pynvml, f"nvmlClocksThrottleReason{names[word]}"): word for word in names}
    assert bits == gpu_state._SLOWED_BY
    fields = {name for name, _ in pynvml.c_nvmlViolationTime_t._fields_}
    assert "violationTime" in fields


def test_the_library_here_is_asked_for_what_is_here() -> None:
    """On a machine without a driver nothing is found; with one the GPU tells its power at least."""
    gpu = open_gpu("cuda")
    assert gpu is None or gpu.read().power_watts is None or gpu.read().power_watts > 0
