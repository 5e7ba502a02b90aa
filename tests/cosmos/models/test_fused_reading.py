"""Tokens read by one operation are those of a chunk at a time, cost as much, and are read so where it pays.

The kernel itself runs here in Triton's interpreter, where there is Triton; on a GPU it is tested in tests/gpu.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from baselines import registry
from baselines.contract import Limits, Request
from cosmos.models import fused_reading, token_reading
from cosmos.models.fused_reading import FEWEST, fused_most_probable, pays, read_tokens, stretches_of
from cosmos.models.token_reading import chunk_by_chunk, most_probable
from cosmos.runtime import compilation
from cosmos.runtime.flops import measure_flops

R, W, V = 300, 16, 40


def whole_numbers(*shape: int, seed: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """So few values that logits, which are exact, are equal all the time."""
    return torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the CPU were a GPU that can run the kernel, whose operation is then made of others."""
    monkeypatch.setattr(fused_reading, "multiprocessors", lambda device: 132)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("vocabulary", [V, 33, 1])
@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_the_operation_finds_the_first_of_the_largest(
    chunk: int, vocabulary: int, biased: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(token_reading.READ_LOGITS, "cpu", chunk)
    states, table = whole_numbers(R, W, seed=1, dtype=dtype), whole_numbers(V, W, seed=2, dtype=dtype)
    bias = whole_numbers(V, seed=3, dtype=dtype) if biased else None
    logits = states @ table.T + (0.0 if bias is None else bias)
    top = logits[:, :vocabulary] == logits[:, :vocabulary].amax(-1, keepdim=True)
    assert vocabulary == 1 or (top.sum(-1) > 1).any(), "nothing is equal, so nothing is tested"
    found = fused_most_probable(states, table, vocabulary, bias)
    assert found.dtype == torch.int64 and torch.equal(found, top.to(torch.int8).argmax(-1))


@pytest.mark.parametrize("biased", [False, True])
def test_the_operation_keeps_what_torch_asks_of_one(biased: bool) -> None:
    table = whole_numbers(V, W, seed=2).requires_grad_()
    given = whole_numbers(R, W, seed=1), table, 33, whole_numbers(V, seed=3) if biased else None
    checked = torch.library.opcheck(fused_most_probable, given)
    assert set(checked.values()) == {"SUCCESS"}
    assert not fused_most_probable(*given).requires_grad


@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
def test_it_can_be_part_of_what_is_compiled() -> None:
    given = whole_numbers(R, W, seed=4), whole_numbers(V, W, seed=5), 37, None
    with torch.inference_mode(), compilation.compiled([]):
        found = compilation.compiled_if(True, _twice, static=True)(*given)
    assert torch.equal(found, 2 * most_probable(*given))


def _twice(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None) -> Tensor:
    return 2 * fused_most_probable(states, table, vocabulary, bias)


@pytest.mark.parametrize("biased", [False, True])
def test_it_costs_the_products_that_chunks_do(biased: bool) -> None:
    states, table = whole_numbers(R, W, seed=1), whole_numbers(V, W, seed=2)
    bias = whole_numbers(V, seed=3) if biased else None

    def chunks() -> Tensor:
        return chunk_by_chunk(lambda part: most_probable(part, table, 33, bias), states, V)

    flops = measure_flops(chunks)
    assert flops == 2 * R * W * V
    assert measure_flops(lambda: fused_most_probable(states, table, 33, bias)) == flops
    with FlopCounterMode(display=False) as counter:
        fused_most_probable(states, table, 33, bias)
    assert counter.get_total_flops() == flops
    assert fused_most_probable(*(part.to("meta") for part in (states, table)), 33, None).shape == (R,)


CASES: dict[str, tuple[bool, dict[str, Any]]] = {
    "enough": (True, {}),
    "half": (True, {"dtype": torch.float16}),
    "with a bias": (True, {"bias": torch.bfloat16}),
    "in texts": (True, {"shape": (64, FEWEST // 64)}),
    "too few": (False, {"shape": (FEWEST - 1,)}),
    "whole precision": (False, {"dtype": torch.float32}),
    "a table of another dtype": (False, {"table": torch.float32}),
    "a bias of another dtype": (False, {"bias": torch.float32}),
    "a width of no whole tiles": (False, {"width": 96}),
    "no GPU that can": (False, {"multiprocessors": 0}),
    "a transposed table": (False, {"transposed": True}),
    "a table between addresses": (False, {"offset": 1}),
}


@pytest.mark.parametrize(("expected", "case"), CASES.values(), ids=CASES.keys())
def test_it_is_used_where_it_can_be_and_pays(
    expected: bool, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_reading, "multiprocessors", lambda device: case.get("multiprocessors", 132))
    dtype, width = case.get("dtype", torch.bfloat16), case.get("width", 64)
    states = torch.empty(*case.get("shape", (FEWEST,)), width, dtype=dtype)
    flat = torch.empty(V * width + 1, dtype=case.get("table", dtype))[case.get("offset", 0) :]
    table = flat[: V * width].view(width, V).T if case.get("transposed") else flat[: V * width].view(V, width)
    bias = torch.empty(V, dtype=case["bias"]) if "bias" in case else None
    assert pays(states, table, bias) is expected


GPUS = {
    "H100": (9, 233_472, 132, True, 132),
    "B200": (10, 233_472, 148, True, 148),
    "A100": (8, 167_936, 108, True, 0),
    "RTX 5090": (12, 102_400, 170, True, 0),
    "no Triton": (9, 233_472, 132, False, 0),
}


@pytest.mark.parametrize(("major", "memory", "count", "has_kernel", "expected"), GPUS.values(), ids=GPUS.keys())
def test_a_gpu_needs_descriptors_memory_and_triton(
    major: int, memory: int, count: int, has_kernel: bool, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = SimpleNamespace(major=major, shared_memory_per_multiprocessor=memory, multi_processor_count=count)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(fused_reading, "kernel", lambda: object() if has_kernel else None)
    monkeypatch.setattr(fused_reading, "can_launch", lambda: True)
    found = fused_reading.multiprocessors.__wrapped__(torch.device("cuda", 0))
    assert found == expected
    monkeypatch.setattr(fused_reading, "can_launch", lambda: False)
    assert fused_reading.multiprocessors.__wrapped__(torch.device("cuda", 0)) == 0
    assert fused_reading.multiprocessors.__wrapped__(torch.device("cpu")) == 0


def test_stretches_let_programs_end_together() -> None:
    assert stretches_of(65_536, 30_522, 132) == 2  # as it was timed: 1,024 programs, each of 60 tiles
    assert stretches_of(4096, 30_522, 132) == 4  # 128 programs, all at once
    assert stretches_of(64 * 127, 30_522, 132) == 2  # 128 again
    for positions in range(FEWEST, 70_000, 777):
        for vocabulary, multiprocessors in ((30_522, 132), (30_522, 148), (15_990, 132), (50_257, 114)):
            stretches = stretches_of(positions, vocabulary, multiprocessors)
            blocks, tiles = -(-positions // 128), -(-vocabulary // 256)
            turns = -(-blocks * stretches // multiprocessors) * -(-tiles // stretches)
            assert turns <= 1.3 * blocks * tiles / multiprocessors  # of what an even share would be


def test_enough_positions_are_one_call(gpu: None) -> None:
    states, table = whole_numbers(64, FEWEST // 64, 64, seed=6), whole_numbers(V, 64, seed=7)
    bias = whole_numbers(V, seed=8)
    sizes: list[int] = []

    def chunk(part: Tensor) -> Tensor:
        sizes.append(len(part))
        return most_probable(part, table, 33, bias)

    found = read_tokens(chunk, states, table, 33, bias)
    assert sizes == [] and found.shape == states.shape[:-1]
    assert torch.equal(found, (states @ table.T + bias)[..., :33].argmax(-1))
    few = states[:, :63]
    assert torch.equal(read_tokens(chunk, few, table, 33, bias), found[:, :63])
    assert sizes == [few.shape[0] * few.shape[1]]


@pytest.mark.parametrize("name", ["cosmos", "tencdm", "diffuseq", "duo"])
def test_systems_that_read_an_argmax_write_the_same_texts(
    name: str, monkeypatch: pytest.MonkeyPatch, gpu: None
) -> None:
    kind: Any = registry.find(name)
    system = kind(kind.presets["nano"], Limits(0, 24))
    system.untrained(300, seed=3, device="cpu", dtype="float32")
    if name == "diffuseq":  # whose bias is zero until it is trained
        system.model.bias.data.copy_(3 * torch.arange(len(system.model.bias)).sin())
    setting = next(iter(kind.settings.values()))
    requests = [Request(str(n), None, n, 23) for n in range(4)]
    calls: list[torch.Size] = []

    def counted(states: Tensor, *rest: Any) -> Tensor:
        calls.append(states.shape)
        return fused_most_probable(states, *rest)

    def texts() -> list[str]:
        return [sample.text for sample in system.generate(requests, setting)]

    monkeypatch.setattr(fused_reading, "fused_most_probable", counted)
    flops, expected = measure_flops(texts), texts()
    assert calls == []
    monkeypatch.setattr(fused_reading, "pays", lambda *_: True)
    assert texts() == expected and len(calls) == 1
    assert measure_flops(texts) == flops


INTERPRETED = """
import torch
from cosmos.models.fused_reading import by_kernel
from cosmos.models.token_reading import most_probable
torch.manual_seed(0)
for R, W, V, vocabulary, biased, stretches in (
    (200, 64, 600, 590, False, 2), (300, 128, 700, 513, True, 3), (128, 64, 256, 256, True, 4),
    (1, 64, 300, 1, False, 2),
):
    numbers = lambda *shape: torch.randint(-1, 2, shape).half()
    given = numbers(R, W), numbers(V, W), vocabulary, numbers(V) if biased else None
    expected = most_probable(*given)
    found = by_kernel(*given, stretches)
    print(found.dtype == torch.int64 and torch.equal(found, expected))
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")
def test_the_kernel_finds_them_in_tritons_interpreter() -> None:
    """In float16: the interpreter of Triton 3.6 and of 3.8 multiplies the bits of a bfloat16."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    run = [sys.executable, "-c", INTERPRETED]
    done = subprocess.run(run, capture_output=True, text=True, env=environment, check=False)
    if "only 0-dimensional arrays can be converted" in done.stderr:
        pytest.skip("this Triton's interpreter does not know this NumPy")
    assert done.stdout.split() == ["True"] * 4, done.stderr
