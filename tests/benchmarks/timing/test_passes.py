"""What generating takes besides time, with networks whose operations, memory and energy are known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_nvml import FakeNvml
from torch.nn import functional

from baselines.contract import Limits, Request, Sample
from baselines.registry import find
from benchmarks.records.probe_results import ProbeResults
from benchmarks.running.stand_ins import StandIns
from benchmarks.speed import work
from benchmarks.timing import memory, passes
from benchmarks.timing.passes import EnergyRules, ProbedBatch, probe
from benchmarks.timing.phases import uncaptured

WIDTH, WORDS, CALLS, LENGTH, HEADS = 16, 50, 3, 8, 2
AT_ONCE = EnergyRules(seconds=0.0)


@dataclass(frozen=True)
class Steps:
    steps: int = CALLS
    capture: str = "off"


class Block(torch.nn.Module):
    """Attention of one block with its projections, and a head over words: 4 W^2 + W V weights, without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.projections = torch.nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = torch.nn.Linear(WIDTH, WIDTH, bias=False)
        self.head = torch.nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # [B, L, W] -> [B, L, V]
        parts = self.projections(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # [3, B, H, L, W / H]
        attended = functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        return self.head(self.out(attended))  # type: ignore[no-any-return]


class KnownSystem:
    """Calls one network a known number of times; what it does is put down."""

    trained, presets, settings = True, {}, {}

    def __init__(self, seconds: float = 0.0) -> None:
        self.network, self.asked, self.seconds = Block(), [], seconds
        self.settings_seen: list[Any] = []

    def networks(self) -> dict[str, Any]:
        raise AssertionError("networks are asked for once, before")

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        self.asked.append([request.seed for request in requests])
        self.settings_seen.append(setting)
        x = torch.zeros(len(requests), LENGTH, WIDTH)
        for _ in range(setting.steps):
            self.network(x)
        return [Sample(request.id, "text", 1, True) for request in requests]


def closed_form(texts: int, calls: int = CALLS) -> int:
    """Operations of so many calls: a multiply and an add for each weight and position, and two attention products."""
    weights = 4 * WIDTH * WIDTH + WIDTH * WORDS
    return calls * texts * (2 * weights * LENGTH + 2 * 2 * LENGTH * LENGTH * WIDTH)


def renewal(requests: Sequence[Request]) -> passes.Renewed:
    stand_ins = StandIns(requests)
    return lambda some: stand_ins.again(some, len(some))


def batch_of(texts: int, system: Any = None, setting: Any = None, device: str = "cpu") -> ProbedBatch:
    system = system or KnownSystem()
    requests = [Request(str(n), None, n, LENGTH) for n in range(texts)]
    networks = {"block": system.network}
    return ProbedBatch(system, networks, setting or Steps(), requests, renewal(requests), device)


@pytest.fixture
def no_powercap(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    place = tmp_path / "intel-rapl:0"
    place.mkdir()
    (place / "name").write_text("package-0")
    (place / "energy_uj").write_text("1000000")
    return tmp_path


@pytest.mark.parametrize("texts", [1, 2, 7])
@pytest.mark.parametrize("steps", [1, 5])
def test_operations_are_those_of_the_closed_form(texts: int, steps: int, no_powercap: Path) -> None:
    found = probe(batch_of(texts, setting=Steps(steps)), 1e12, AT_ONCE, powercap=no_powercap).results
    assert found.flops_per_text == closed_form(1, steps)
    assert found.calls == {"block": steps}
    assert found.texts == texts


def test_the_share_of_the_ceiling_follows_from_operations_and_throughput(no_powercap: Path) -> None:
    found = probe(batch_of(2), 1e9, AT_ONCE, powercap=no_powercap).results
    assert found.share_of_ceiling(100.0) == pytest.approx(closed_form(1) * 100 / 1e9)
    assert ProbeResults(2).share_of_ceiling(100.0) is None
    without = probe(batch_of(2), None, AT_ONCE, powercap=no_powercap).results
    assert without.share_of_ceiling(100.0) is None
    assert without.reasons["ceiling"].startswith("not run")


@pytest.mark.parametrize("name", ["cosmos-8", "gpt2", "mdlm"])
def test_a_system_costs_what_its_networks_are_counted_to(name: str, no_powercap: Path) -> None:
    """With random weights, by the count that goes on along a line from the first calls, which is exact."""
    kind: Any = find(name)
    system = kind(kind.presets["nano"], Limits(0, 12))
    system.untrained(300, seed=0, device="cpu", dtype="float32")
    setting = next(iter(kind.settings.values()))
    setting = replace(setting, steps=2) if hasattr(setting, "steps") else setting
    requests = [Request(str(n), None, n, 11) for n in range(2)]
    networks = system.networks()
    batch = ProbedBatch(system, networks, setting, requests, renewal(requests), "cpu")
    calls, flops = passes.count(batch)
    counted = work.count(networks, lambda: system.generate(requests, uncaptured(setting)))
    assert dict(calls) == dict(counted.calls)
    assert flops >= counted.flops > 0  # and what is done outside of networks
    assert flops <= 1.2 * counted.flops


def test_operations_and_memory_are_seen_as_python_runs_the_loop_and_energy_is_of_the_captured(
    powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet(monkeypatch)
    batch = batch_of(1, setting=Steps(capture="graph"))
    probe(batch, None, AT_ONCE, powercap=powercap)
    system: Any = batch.system
    assert [setting.capture for setting in system.settings_seen] == ["off", "off", "graph"]


def test_nothing_is_timed_where_there_is_no_counter(no_powercap: Path) -> None:
    batch = batch_of(2)
    found = probe(batch, None, AT_ONCE, powercap=no_powercap)
    assert found.results.joules_per_text is None
    assert "no RAPL counter" in found.results.reasons["energy"]
    assert found.verdicts["energy"] == {
        "valid": False,
        "reasons": [found.results.reasons["energy"]],
        "calls": 0,
    }
    system: Any = batch.system
    assert len(system.asked) == 2  # one to count, one for memory


class Counting(KnownSystem):
    """Moves the processor's counter by 3 J a batch."""

    def __init__(self, powercap: Path) -> None:
        super().__init__()
        self.file = powercap / "intel-rapl:0" / "energy_uj"

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        self.file.write_text(str(int(self.file.read_text()) + 3_000_000))
        return super().generate(requests, setting)


def quiet(monkeypatch: pytest.MonkeyPatch, load: float | None = 0.0, seconds: float = 1.0) -> None:
    """A machine with so much other load, whose clock moves on so far each time it is read."""
    monkeypatch.setattr(passes.OtherLoad, "share", lambda self: load)
    reads = iter(range(10**6))
    monkeypatch.setattr(passes.Clock, "now", lambda self: seconds * next(reads))


def test_joules_are_those_of_the_pass_by_the_texts_made_in_it(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    batch = batch_of(4, Counting(powercap))
    found = probe(batch, None, EnergyRules(seconds=5.0), powercap=powercap)
    assert found.results.joules == pytest.approx({"CPU": 3 / 4})
    assert found.results.joules_per_text == pytest.approx(0.75)
    assert (found.results.energy_texts, found.results.energy_seconds) == (20, 5.0)
    assert found.verdicts["energy"] == {"valid": True, "reasons": [], "calls": 5}
    system: Any = batch.system
    assert len(system.asked) == 2 + 5
    assert len({seed for seeds in system.asked[2:] for seed in seeds}) == 20  # none asked for twice
    assert all(0 <= seed < 2**63 for seeds in system.asked for seed in seeds)


@pytest.mark.parametrize(
    ("rules", "load", "said"),
    [
        (EnergyRules(seconds=5.0, batches=2), 0.0, "too short"),
        (EnergyRules(seconds=0.0), 0.5, "not alone: other processes used 50%"),
    ],
)
def test_doubtful_energy_says_why(
    rules: EnergyRules, load: float, said: str, powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet(monkeypatch, load)
    found = probe(batch_of(1, Counting(powercap)), None, rules, powercap=powercap)
    assert found.results.joules_per_text == pytest.approx(3.0)  # shown all the same
    assert not found.verdicts["energy"]["valid"]
    assert said in found.verdicts["energy"]["reasons"][0]


def test_a_counter_that_stands_still_is_not_believed(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    found = probe(batch_of(1), None, AT_ONCE, powercap=powercap)
    assert found.verdicts["energy"]["reasons"] == ["a counter did not move"]


@pytest.fixture
def stand_in_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch as it is here, but as if its memory were a GPU's."""
    monkeypatch.setattr(memory, "growth_bytes", lambda run, device: (run(), 123_456)[1])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("stand_in_gpu")
def test_a_gpus_energy_memory_and_company(no_powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    batch = batch_of(2, device="cuda")
    alone = probe(batch, None, AT_ONCE, nvml=FakeNvml(step=1000), powercap=no_powercap)
    assert alone.results.peak_bytes == 123_456 + passes.weight_bytes(batch.networks)
    assert alone.results.joules["GPU"] > 0
    assert alone.verdicts["energy"]["valid"]
    assert alone.verdicts["memory"] == {"valid": True, "reasons": [], "calls": 1}
    shared = probe(batch, None, AT_ONCE, nvml=FakeNvml(step=1000, processes=(1, 2)), powercap=no_powercap)
    assert shared.verdicts["energy"]["reasons"] == ["not alone: 2 other processes on the GPU"]


class Hot(FakeNvml):
    def nvmlDeviceGetViolationStatus(self, handle: str, policy: int) -> Any:  # noqa: N802
        self.violations = {0: 0, 1: self.violations[1] + 500_000_000}
        return super().nvmlDeviceGetViolationStatus(handle, policy)


@pytest.mark.usefixtures("stand_in_gpu")
def test_a_gpu_that_was_too_hot_is_said(no_powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    found = probe(batch_of(1, device="cuda"), None, AT_ONCE, nvml=Hot(step=1000), powercap=no_powercap)
    assert found.verdicts["energy"]["reasons"] == ["throttled: the GPU was too hot for 1 s"]


class Hungry(KnownSystem):
    """Runs out of memory on the calls that are named."""

    def __init__(self, *calls: int) -> None:
        super().__init__()
        self.calls = calls

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        made = super().generate(requests, setting)
        if len(self.asked) in self.calls:
            raise torch.OutOfMemoryError
        return made


def test_a_pass_that_does_not_fit_leaves_its_figure_out(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    for call, figure in ((1, "flops"), (2, "memory"), (3, "energy")):
        found = probe(batch_of(1, Hungry(call)), 1.0, AT_ONCE, powercap=powercap)
        assert set(found.results.reasons) == {figure}
        assert "memory did not suffice" in found.results.reasons[figure]
        if figure in found.verdicts:
            assert not found.verdicts[figure]["valid"]


def test_another_error_is_not_taken_for_that() -> None:
    with pytest.raises(AttributeError):
        probe(replace(batch_of(1), requests=[None]), None, AT_ONCE)  # type: ignore[list-item]


# -- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process's memory")
def test_a_process_grows_by_what_it_holds_at_once() -> None:
    def hold(megabytes: int) -> None:
        kept = torch.ones(megabytes << 20, dtype=torch.uint8)
        assert kept.max() == 1

    grown = memory.growth_bytes(lambda: hold(200), "cpu")
    if grown is None:
        pytest.skip("this container does not let a process forget its peak")
    assert 195 << 20 <= grown <= 260 << 20  # the system counts pages in lots
    twice = memory.growth_bytes(lambda: (hold(100), hold(100)), "cpu")
    assert twice is not None
    assert 95 << 20 <= twice <= 160 << 20


def test_where_the_system_does_not_tell_it_is_generated_all_the_same(tmp_path: Path) -> None:
    ran: list[int] = []
    assert memory.growth_bytes(lambda: ran.append(1), "cpu", tmp_path / "none") is None
    assert ran == [1]


def test_growth_is_the_peak_above_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t  500 kB\n")
    assert memory.growth_bytes(lambda: None, "cpu", tmp_path) == 400 * 1024
    assert (tmp_path / "clear_refs").read_text() == "5"
    (tmp_path / "status").write_text("VmRSS: nonsense")
    assert memory.growth_bytes(lambda: None, "cpu", tmp_path) is None


def test_on_a_gpu_it_is_what_torch_had_in_use_above_what_lay_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems may lie in the same memory."""
    told = {"reset_peak_memory_stats": None, "memory_allocated": 700, "max_memory_allocated": 1000}
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    ran: list[int] = []
    assert memory.growth_bytes(lambda: ran.append(1), "cuda:0") == 300
    assert ran == [1]


def test_weights_that_are_shared_weigh_once() -> None:
    block = Block()
    outer = torch.nn.Sequential(block)
    outer.register_buffer("kept", torch.zeros(10, dtype=torch.float16))
    expected = 4 * (4 * WIDTH * WIDTH + WIDTH * WORDS) + 20
    assert passes.weight_bytes({"one": block, "two": outer}) == expected


def test_the_peak_on_a_cpu_has_the_weights_in_it(monkeypatch: pytest.MonkeyPatch, no_powercap: Path) -> None:
    monkeypatch.setattr(memory, "growth_bytes", lambda run, device: (run(), 1000)[1])
    batch = batch_of(1)
    found = probe(batch, None, AT_ONCE, powercap=no_powercap)
    assert found.results.peak_bytes == 1000 + passes.weight_bytes(batch.networks)
    monkeypatch.setattr(memory, "growth_bytes", lambda run, device: run())
    silent = probe(batch, None, AT_ONCE, powercap=no_powercap)
    assert silent.results.peak_bytes is None
    assert silent.verdicts["memory"]["reasons"] == ["not run: this system does not tell the peak of a process's memory"]


def test_a_ceiling_that_does_not_fit_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(device: str, dtype: str) -> float:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(passes.ceilings, "MATRIX", {"cpu": 64})
    assert (passes.ceiling("cpu", "float32") or 0.0) > 0
    monkeypatch.setattr(passes.ceilings, "matrix_flops_per_second", exhausted)
    assert passes.ceiling("cpu", "float32") is None
