"""What is looked at besides: phases, modules that do the work, what was compiled, and what slows a machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_nvml import FakeNvml
from simulated import Machine

from benchmarks.records.schema import TimingRecord
from benchmarks.running.cell_timing import record_of
from benchmarks.timing import cpu_state, preparation, surroundings
from benchmarks.timing.cpu_state import CpuState
from benchmarks.timing.gpu_state import open_gpu
from benchmarks.timing.phases import can_look, looking, uncaptured
from benchmarks.timing.preparation import preparation as watched
from benchmarks.timing.protocol import Call
from benchmarks.timing.surroundings import Surroundings, Watch, around


class Takes(torch.nn.Module):
    """Takes some seconds of a clock, and may call another within."""

    def __init__(self, clock: list[float], seconds: float, inner: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.clock, self.seconds, self.inner = clock, seconds, inner
        self.weight = torch.nn.Parameter(torch.zeros(2, 2))

    def forward(self) -> None:
        self.clock[0] += self.seconds
        if self.inner is not None:
            self.inner()


def test_time_goes_to_the_phase_it_was_spent_in() -> None:
    clock = [100.0]
    encoder, decoder = Takes(clock, 1.0), Takes(clock, 8.0)
    networks = {"denoiser": Takes(clock, 4.0, encoder), "text_encoder": encoder, "decoder": decoder}
    with looking(networks, lambda: clock[0]) as phases:
        clock[0] += 0.25  # tokenising
        networks["text_encoder"]()
        for _ in range(2):
            clock[0] += 0.5
            networks["denoiser"]()  # with the encoder in it
        clock[0] += 0.5
        decoder()
        clock[0] += 16.0
    assert phases.seconds == {
        "source_encoding": 1.25, "calls": 10.0, "sampling": 1.5, "decoder": 8.0, "detokenise": 16.0,
    }  # fmt: skip
    assert phases.unnamed == set()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in networks.values())


def test_modules_with_weights_that_no_network_contains_are_named() -> None:
    clock = [0.0]
    network, table = torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.nn.Embedding(2, 2)
    with looking({"network": network}, lambda: clock[0]) as phases:
        network[0](torch.zeros(1, 2))  # a part of it, called by itself
        torch.nn.LayerNorm(2)(torch.zeros(1, 2))
        torch.nn.ReLU()(torch.zeros(1))
        table(torch.tensor([0]))
        torch.nn.Linear(2, 2)(torch.zeros(1, 2))
    assert phases.unnamed == {"Linear"}
    assert can_look({"network": network}) and not can_look({}) and not can_look({"network": object()})


def test_phases_are_looked_at_without_capture() -> None:
    @dataclass(frozen=True)
    class Setting:
        capture: str = "graph"
        steps: int = 3

    assert uncaptured(Setting()) == Setting("off")
    assert uncaptured(None) is None


def test_what_torch_compiles_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = {"_compile.compile_inner": [1.5]}
    monkeypatch.setitem(
        preparation.sys.modules, "torch._dynamo.utils", SimpleNamespace(compilation_time_metrics=metrics)
    )
    with watched() as seconds:
        metrics["_compile.compile_inner"].append(2.0)
    assert seconds == {"compile": 2.0}
    with watched() as seconds:
        pass
    assert seconds == {}


def test_what_is_recorded_as_a_graph_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Graph:
        def capture_begin(self) -> None:
            clock[0] += 0.5

        def capture_end(self) -> None:
            clock[0] += 0.25

    cuda = SimpleNamespace(CUDAGraph=Graph, is_available=lambda: True)
    monkeypatch.setitem(preparation.sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(preparation.time, "perf_counter", lambda: clock[0])
    begin = Graph.capture_begin
    with watched() as seconds:
        for _ in range(2):
            graph = Graph()
            graph.capture_begin()
            clock[0] += 3.0
            graph.capture_end()
    assert seconds["record"] == pytest.approx(2 * 3.75)
    assert Graph.capture_begin is begin


@pytest.mark.parametrize(
    ("name", "text", "seconds"),
    [
        ("sys/fs/cgroup/cpu.stat", "usage_usec 5\nthrottled_usec 2500000\n", 2.5),
        ("sys/fs/cgroup/cpu/cpu.stat", "nr_periods 0\nthrottled_time 1500000000\n", 1.5),
        ("sys/fs/cgroup/cpu.stat", "damaged", None),
    ],
)
def test_a_container_says_how_long_it_was_kept_from_running(
    tmp_path: Path, name: str, text: str, seconds: float | None
) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    assert cpu_state.read(tmp_path) == CpuState(seconds, None)


def test_cores_say_how_often_they_were_hot(tmp_path: Path) -> None:
    for core, count in enumerate(("3", "4", "damaged")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(count)
    assert cpu_state.read(tmp_path) == CpuState(None, 7)
    assert cpu_state.read(tmp_path / "elsewhere") == CpuState()


def test_this_machine_can_be_read() -> None:
    assert isinstance(cpu_state.read(), CpuState)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def recorded(watch: Watch, work: Callable[[], None], kind: Any = "batch", index: int = 0) -> TimingRecord:
    """The record of a call that does something."""

    def make() -> Call:
        work()
        return Call((), 1.0, {})

    return record_of(kind, index, watch.over(make), 0, None)


def test_what_slows_a_machine_is_told_of_the_calls_it_slowed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter([CpuState(0.0, 1), CpuState(0.01, 1), CpuState(1.0, 1), CpuState(2.0, 2)])
    monkeypatch.setattr(surroundings.cpu_state, "read", lambda: next(states))
    watch = Watch()
    quiet = recorded(watch, lambda: machine.work(10.0), "latency")
    machine.others = 0.5
    slowed = recorded(watch, lambda: machine.work(10.0))
    every = [quiet, slowed]
    assert around([quiet], every) == Surroundings(0.0, None, ())
    assert around([slowed], every) == Surroundings(0.25, None, ("heat of the CPU", "the container's share of the CPU"))
    assert around(every, every).other_cpu == 0.125


def test_of_a_short_time_nothing_is_said_of_others(machine: Machine) -> None:
    machine.others = 1.0
    short = recorded(Watch(), lambda: machine.work(0.2))
    assert around([short], [short]) == Surroundings(None, None, (), everywhere=False)
    many = [recorded(Watch(), lambda: machine.work(0.002), index=n) for n in range(200)]
    assert around(many, many).other_cpu is None  # 0.4 s, but each of 200 counts may be off
    longer = [recorded(Watch(), lambda: machine.work(0.02), index=n) for n in range(200)]
    assert around(longer, longer).other_cpu == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("reasons", "throttled", "told"),
    [
        (0x0, 0, ()),
        (0x4, 100_000_000, ()),  # at its power cap when looked at, 1 % of the time
        (0x4, 3_000_000_000, ("power of the GPU",)),
        (0x40, 0, ("hardware thermal slowdown of the GPU",)),
    ],
)
def test_a_gpu_that_is_slowed_or_shared_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, reasons: int, throttled: int, told: tuple[str, ...]
) -> None:
    monkeypatch.setitem(surroundings.os.environ, "CUDA_VISIBLE_DEVICES", "0")
    nvml: Any = FakeNvml(reasons=reasons, processes=(11, 12))
    watch = Watch(open_gpu("cuda", nvml))

    def work() -> None:
        machine.work(10.0)
        nvml.violations = {0: 2_000_000_000 + throttled, 1: 0}

    call = recorded(watch, work)
    found = around([call], [call])
    assert (found.other_gpu_processes, found.slowed_by) == (2, told)
