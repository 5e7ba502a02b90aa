"""What makes a generation few kernels gives the same numbers: noise ahead, steps as one sum, packed texts, tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines import registry
from baselines.contract import Limits, Request
from cosmos.config import DenoiserConfig
from cosmos.diffusion.linear_steps import Coefficients, compiled_step, linear_step
from cosmos.diffusion.samplers import RULES, call_grid, march, noises_between
from cosmos.diffusion.schedule import Tangent
from cosmos.models.blocks import attend_packed, packed_texts
from cosmos.models.denoiser import Denoiser
from cosmos.models.token_head import chunk_rows
from cosmos.models.token_reading import READ_LOGITS, chunk_by_chunk, most_probable
from cosmos.runtime import compilation
from cosmos.runtime.rng import CounterRNG

pytestmark = pytest.mark.gpu

WEIGHTS = Coefficients(0.9, 0.2, 0.3, -0.1)


def normal(device: str, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, device=device, generator=torch.Generator(device).manual_seed(seed)).to(dtype)


def kernels_of(call: Callable[[], object]) -> int:
    """How many kernels a call launches, once it is compiled."""
    call()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        call()
        torch.cuda.synchronize()
    return sum(event.count for event in profiler.key_averages() if event.self_device_time_total > 0)


def test_a_call_of_a_known_time_has_fewer_kernels(device: str) -> None:
    with torch.random.fork_rng(devices=[device]):
        torch.manual_seed(0)
        network = Denoiser(DenoiserConfig(16, 32, 64, 2, 2)).to(device, torch.bfloat16).eval()
    methods = compilation.compile_blocks({"denoiser": network})
    times = torch.tensor([0.9, 0.4, 0.1], device=device)
    x, estimate = (normal(device, 1, 16, 32, seed=n, dtype=torch.bfloat16) for n in (1, 2))
    with torch.inference_mode(), compilation.compiled(methods):
        known = network.time_inputs(times)
        torch.testing.assert_close(
            network(x, known.row(1), estimate), network(x, times[1:2], estimate), rtol=2e-2, atol=2e-2
        )
        told, untold = (kernels_of(lambda t=t: network(x, t, estimate)) for t in (known.row(1), times[1:2]))
    assert told <= untold - 4  # a sinusoid and three products


@contextmanager
def recorded(call: Callable[[], Any]) -> Iterator[tuple[torch.cuda.CUDAGraph, Any]]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = call()
    yield graph, output


def test_noise_drawn_ahead_is_one_kernel_and_the_noise_of_each_step(device: str) -> None:
    seeds = torch.arange(64, device=device)
    plain = CounterRNG(seeds)
    expected = torch.stack([plain.normal(16, 384) for _ in range(20)])
    assert torch.equal(CounterRNG(seeds).normals(20, 16, 384), expected)
    with compilation.compiled([]):
        found = CounterRNG(seeds, compiled=True, fused=True).normals(20, 16, 384)
        assert (found != expected).double().mean() < 1e-6
        torch.testing.assert_close(found, expected, rtol=2e-7, atol=1e-12)
        alone = CounterRNG(seeds[5:6], compiled=True, fused=True).normals(20, 16, 384)
        assert torch.equal(alone[:, 0], found[:, 5])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_compiled_step_is_one_kernel_that_can_be_recorded(dtype: torch.dtype, device: str) -> None:
    x, noise = normal(device, 32, 16, 384), normal(device, 32, 16, 384, seed=1)
    estimate, before = (normal(device, 32, 16, 384, seed=n, dtype=dtype) for n in (2, 3))

    def step() -> Tensor:
        with compilation.compiled([]):
            return compiled_step(x, estimate, before, noise, WEIGHTS)

    expected = linear_step(x, estimate, before, noise, WEIGHTS)
    torch.testing.assert_close(step(), expected, rtol=1e-6, atol=1e-6)
    assert kernels_of(step) == 1
    with recorded(step) as (graph, output):
        x.add_(1.0)
        graph.replay()
        again = linear_step(x, estimate, before, noise, WEIGHTS)
        torch.testing.assert_close(output, again, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("solver", RULES)
def test_every_linear_solver_compiled_ends_where_it_does_launched(solver: Any, device: str) -> None:
    schedule, start = Tangent(5.0), normal(device, 16, 16, 64)
    grid = call_grid(schedule, noises_between(30.0, 0.05, 12))

    def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
        return torch.tanh(x) * (1 - t)

    found = []
    for fast in (False, True):
        streams = CounterRNG(torch.arange(16, device=device), fast, fast)
        with compilation.compiled([]):
            found.append(march(denoise, start, grid, RULES[solver], streams).mean)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [8, 16, 32])
def test_packed_texts_attend_as_they_do_alone(length: int, dtype: torch.dtype, device: str) -> None:
    count = packed_texts(64, length, torch.device(device))
    assert count * length == 128
    parts = [normal(device, 64, length, 6, 64, seed=n, dtype=dtype).transpose(1, 2) for n in range(3)]
    parts = [part.requires_grad_() for part in parts]
    exact = functional.scaled_dot_product_attention(*(part.double() for part in parts))
    upstream = normal(device, *exact.shape, seed=9, dtype=dtype)
    wanted = torch.autograd.grad(exact, parts, upstream.double())
    found = attend_packed(*parts, count)
    tolerance = 1e-4 if dtype == torch.float32 else 0.02
    assert (found.double() - exact).norm() / exact.norm() < tolerance
    for one, other in zip(torch.autograd.grad(found, parts, upstream), wanted, strict=True):
        assert (one.double() - other.double()).norm() / other.double().norm() < tolerance


def test_tokens_of_a_large_batch_are_read_without_logits_of_all(device: str) -> None:
    positions, width, rows, vocabulary = 131_072, 384, 16_000, 15_990
    states = normal(device, positions, width, dtype=torch.bfloat16)
    table = normal(device, rows, width, seed=1, dtype=torch.bfloat16)
    expected = (states @ table.T)[:, :vocabulary].argmax(-1)

    def read() -> Tensor:
        with compilation.compiled([]):
            best = compilation.compiled_if(True, most_probable, static=True)
            return chunk_by_chunk(lambda part: best(part, table, vocabulary), states, rows)

    read()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    found = read()
    assert (
        torch.cuda.max_memory_allocated(device) - before < 4 * 2 * chunk_rows(states.device, rows, READ_LOGITS) * rows
    )
    assert (found != expected).double().mean() < 1e-3  # where the two best are equal but for the last digit
    assert int(found.max()) < vocabulary


def test_whole_numbers_are_read_exactly_with_the_first_of_equals(device: str) -> None:
    random = torch.Generator(device).manual_seed(2)
    states = torch.randint(-1, 2, (3000, 16), device=device, generator=random).bfloat16()
    table = torch.randint(-1, 2, (640, 16), device=device, generator=random).bfloat16()
    logits = (states.double() @ table.double().T)[:, :600]
    first = (logits == logits.amax(-1, keepdim=True)).to(torch.int8).argmax(-1)
    assert torch.equal(most_probable(states, table, 600), first)
    with compilation.compiled([]):
        assert torch.equal(compilation.compiled_if(True, most_probable, static=True)(states, table, 600), first)


@pytest.mark.parametrize("name", ["cosmos", "tencdm"])
def test_a_recorded_generation_in_half_precision_writes_the_texts_of_a_compiled_one(name: str, device: str) -> None:
    kind: Any = registry.find(name)
    system = kind(kind.presets["nano"], Limits(0, 24))
    system.untrained(300, seed=3, device=device, dtype="bfloat16")
    requests = [Request(str(n), None, n, 23) for n in range(40)]
    setting = next(iter(kind.settings.values()))
    ways = [
        system.generate(requests, type(setting)(**{**vars(setting), "capture": way})) for way in ("compile", "graph")
    ]
    assert [sample.text for sample in ways[0]] == [sample.text for sample in ways[1]]
