"""What a real GPU tells of itself, and what passes find on one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from baselines import registry
from baselines.contract import Limits, Request
from benchmarks.running.seeds import request_seed
from benchmarks.running.stand_ins import StandIns
from benchmarks.timing import passes
from benchmarks.timing.gpu_state import Gpu, open_gpu

HOLDING = "import torch; held = torch.zeros(1, device='cuda'); print('there', flush=True); input()"


@pytest.fixture
def gpu(device: str) -> Gpu:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    found = open_gpu(device)
    if found is None:
        pytest.skip("this driver does not let NVML be asked")
    return found


def test_a_gpu_tells_its_clocks_and_its_energy_grows_with_work(gpu: Gpu, device: str) -> None:
    before = gpu.read()
    assert before.clock_mhz is not None and before.clock_limit_mhz is not None
    assert 0 < before.clock_mhz <= before.clock_limit_mhz
    if before.energy_millijoules is None:
        pytest.skip("this GPU has no energy counter")
    matrix = torch.randn(8192, 8192, device=device)
    for _ in range(200):
        matrix = torch.tanh(matrix @ matrix)
    torch.cuda.synchronize(device)
    after = gpu.read().energy_millijoules
    assert after is not None and after > before.energy_millijoules


def test_another_process_is_seen_and_this_one_is_not(gpu: Gpu, device: str) -> None:
    torch.zeros(1, device=device)
    before = gpu.read().other_processes
    if before is None:
        pytest.skip("this driver does not tell who is on the GPU")
    words = [sys.executable, "-c", HOLDING]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "there\n"
        assert gpu.read().other_processes == before + 1
        other.communicate("\n")


@pytest.mark.parametrize("name", ["cosmos-16", "gpt2"])
def test_passes_find_the_same_work_captured_or_not_and_memory_above_the_weights(name: str, device: str) -> None:
    kind: Any = registry.find(name)
    system = kind(kind.presets["nano"], Limits(0, 32))
    system.untrained(2000, seed=0, device=device, dtype="bfloat16")
    setting = replace(next(iter(kind.settings.values())), capture="graph")
    requests = [Request(str(n), None, request_seed(0, str(n)), 31) for n in range(8)]
    stand_ins, networks = StandIns(requests), system.networks()
    found = []
    for one in (setting, replace(setting, capture="off")):
        system.generate(stand_ins.again(requests, 8), one)
        batch = passes.ProbedBatch(
            system, networks, one, requests, lambda some: stand_ins.again(some, len(some)), device
        )
        found.append(passes.probe(batch, passes.ceiling(device, "bfloat16"), passes.EnergyRules(seconds=0.5)).results)
    captured, plain = found
    assert captured.flops_per_text == plain.flops_per_text and captured.calls == plain.calls
    for one in found:
        assert one.peak_bytes is not None and one.peak_bytes > passes.weight_bytes(networks)
        assert one.joules_per_text is None or one.joules_per_text > 0
        assert one.matrix_flops_per_second is not None and one.matrix_flops_per_second > 1e12
