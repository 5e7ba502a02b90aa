"""Tokens that one kernel reads are those of a chunk at a time: launched, recorded, and within compiled networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines import registry
from baselines.contract import Limits, Request
from cosmos.config import PRESETS
from cosmos.models import fused_reading
from cosmos.models.autoencoder import Decompressor
from cosmos.models.fused_reading import FEWEST, fused_most_probable, pays, read_tokens
from cosmos.models.token_reading import chunk_by_chunk, most_probable
from cosmos.runtime import compilation
from cosmos.runtime.cuda_graphs import record, warm_up

pytestmark = pytest.mark.gpu

SIZES = [
    (FEWEST, 64, 320, 300),  # positions, width, rows of the table, vocabulary
    (FEWEST + 1, 128, 1000, 1000),
    (5000, 384, 16_000, 15_990),
    (64 * 127, 768, 30_528, 30_522),
    (200, 64, 64, 1),
]


@pytest.fixture
def able(device: str) -> str:
    if not fused_reading.multiprocessors(torch.device(device, torch.cuda.current_device())):
        pytest.skip("needs a GPU of compute capability 9, and Triton")
    return device


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.randn(shape, device="cuda", generator=torch.Generator("cuda").manual_seed(seed)).to(dtype)


def whole_numbers(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    """So few values that logits are equal all the time, and exact."""
    return torch.randint(-1, 2, shape, device="cuda", generator=torch.Generator("cuda").manual_seed(seed)).to(dtype)


def in_chunks(states: Tensor, table: Tensor, vocabulary: int, bias: Tensor | None = None) -> Tensor:
    return chunk_by_chunk(lambda part: most_probable(part, table, vocabulary, bias), states, len(table))


def kernels_of(call: Callable[[], object]) -> set[str]:
    """Names of what a call launches."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        call()
        torch.cuda.synchronize()
    return {event.key for event in profiler.key_averages()}


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_of_equal_logits_the_first_is_found(
    size: tuple[int, int, int, int], dtype: torch.dtype, biased: bool, able: str
) -> None:
    positions, width, rows, vocabulary = size
    states, table = (
        whole_numbers(positions, width, seed=1, dtype=dtype),
        whole_numbers(rows, width, seed=2, dtype=dtype),
    )
    bias = whole_numbers(rows, seed=3, dtype=dtype) if biased else None
    found = fused_most_probable(states, table, vocabulary, bias)
    assert found.dtype == torch.int64 and found.shape == (positions,)
    assert torch.equal(found, in_chunks(states, table, vocabulary, bias))
    for part in (states[:1], states[:129]):
        assert torch.equal(fused_most_probable(part, table, vocabulary, bias), found[: len(part)])


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", SIZES[:4], ids=str)
def test_rounded_logits_give_the_tokens_of_chunks(
    size: tuple[int, int, int, int], dtype: torch.dtype, biased: bool, able: str
) -> None:
    positions, width, rows, vocabulary = size
    states, table = normal(positions, width, seed=1, dtype=dtype), normal(rows, width, seed=2, dtype=dtype)
    bias = normal(rows, seed=3, dtype=dtype) if biased else None
    found, expected = fused_most_probable(states, table, vocabulary, bias), in_chunks(states, table, vocabulary, bias)
    assert int(found.max()) < vocabulary
    assert (found != expected).double().mean() < 1e-3  # where a sum in another order is rounded to another number
    exact = states.double() @ table.double().T + (0.0 if bias is None else bias.double())
    lost = exact[:, :vocabulary].amax(-1) - exact.gather(1, found[:, None])[:, 0]
    assert (lost <= 4 * torch.finfo(dtype).eps * exact.abs().amax(-1)).all()


def test_texts_that_lie_apart_are_read_as_one(able: str) -> None:
    states, table = normal(64, 128, 384, seed=1)[:, 1:], normal(1024, 384, seed=2)
    assert pays(states, table, None) and not states.is_contiguous()

    def never(part: Tensor) -> Tensor:
        raise AssertionError("a chunk was read")

    found = read_tokens(never, states, table, 1000)
    assert found.shape == (64, 127)
    assert (found != in_chunks(states, table, 1000)).double().mean() < 1e-3


def test_no_logits_are_written(able: str) -> None:
    states, table = normal(131_072, 384, seed=1), normal(16_000, 384, seed=2)
    fused_most_probable(states, table, 15_990, None)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    fused_most_probable(states, table, 15_990, None)
    most = 8 * max(fused_reading.STRETCHES) + 3 * 8  # bytes of a position: values and places, and indices of the best
    assert torch.cuda.max_memory_allocated() - before < most * len(states) + (1 << 20)


def test_it_can_be_recorded(able: str) -> None:
    states, table = normal(5000, 384, seed=1), normal(1024, 384, seed=2)

    def read(given: Tensor) -> Tensor:
        return fused_most_probable(given, table, 1000, None)

    with torch.inference_mode():
        warm_up(read, (states,))
        replay, output, _ = record(read, (states,), None, "global")
        for seed in (3, 4):
            states.copy_(normal(5000, 384, seed=seed))
            replay()
            assert torch.equal(output, read(states))
    assert any("best_of_stretch" in name for name in kernels_of(replay))


@pytest.mark.parametrize("preset", ["nano", "small"])
def test_a_compiled_decompressor_reads_what_it_reads_in_chunks(
    preset: str, able: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = PRESETS[preset].autoencoder
    with torch.random.fork_rng(devices=[able]):
        torch.manual_seed(0)
        network = Decompressor(config).to(able, torch.bfloat16).eval()
    latents = normal(200, config.latents, config.latent_width, seed=1)
    methods = compilation.compile_blocks({"decompressor": network})

    def read() -> Tensor:
        tokens: Tensor = network(latents, vocabulary=30_000)
        return tokens

    with torch.inference_mode(), compilation.compiled(methods):
        found = read()
        assert any("best_of_stretch" in name for name in kernels_of(read))
        monkeypatch.setattr(fused_reading, "pays", lambda *_: False)
        expected = read()
        assert not any("best_of_stretch" in name for name in kernels_of(read))
    assert found.shape == (200, config.max_tokens - 1) and len(found.unique()) > 1
    assert (found != expected).double().mean() < 1e-3


@pytest.mark.parametrize("capture", ["off", "compile", "graph"])
@pytest.mark.parametrize("name", ["cosmos", "tencdm", "diffuseq", "duo"])
def test_systems_write_the_texts_that_they_write_in_chunks(
    name: str, capture: str, able: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = registry.find(name)
    setting = next(iter(kind.settings.values()))
    setting = type(setting)(**{**vars(setting), "capture": capture})
    requests = [Request(str(n), None, n, 23) for n in range(256)]

    def texts() -> tuple[list[str], set[str]]:
        system = kind(kind.presets["small"], Limits(0, 24))
        system.untrained(300, seed=3, device=able, dtype="bfloat16")
        written = [sample.text for sample in system.generate(requests, setting)]
        return written, kernels_of(lambda: system.generate(requests, setting))

    found, kernels = texts()
    assert any("best_of_stretch" in kernel for kernel in kernels)
    monkeypatch.setattr(fused_reading, "pays", lambda *_: False)
    expected, others = texts()
    assert not any("best_of_stretch" in kernel for kernel in others)
    assert sum(one != other for one, other in zip(found, expected, strict=True)) <= 5  # as rounding has it
