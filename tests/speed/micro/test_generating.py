"""What generating costs beside the network: samplers whose network returns at once, noise, corruption, decoding."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.autoregressive.decoding import AT_ONCE, Decoding, KVCacheDecoder
from baselines.token_diffusion import masked_samplers
from baselines.token_diffusion.masked import LogLinear
from cosmos.config import CorruptionConfig, SamplerSetting, ScheduleConfig
from cosmos.diffusion.samplers import sample
from cosmos.diffusion.schedule import make_schedule
from cosmos.models.corruption import corrupt
from cosmos.models.standardiser import Standardiser
from cosmos.runtime.rng import CounterRNG

pytestmark = pytest.mark.benchmark(group="generating", timer=time.process_time)

TEXTS, LENGTH, VOCABULARY, STEPS = 8, 32, 200, 16
MASK = VOCABULARY - 1


@pytest.fixture
def seeds() -> Tensor:
    return torch.arange(TEXTS)


@pytest.mark.parametrize("solver", ["release", "ddim", "ddpm", "dpmpp_2m", "dpmpp_2m_sde", "heun"])
@torch.inference_mode()
def test_latent_sampler(benchmark: Any, seeds: Tensor, solver: Any) -> None:
    """16 steps of a latent sampler, 8 texts of 16 latents."""
    schedule, setting = make_schedule(ScheduleConfig()), SamplerSetting(solver=solver, steps=STEPS)
    start = CounterRNG(seeds).normal(16, 96)
    made = benchmark(lambda: sample(lambda x, t, estimate: x, start, setting, schedule, CounterRNG(seeds)))
    assert made.shape == start.shape and bool(made.isfinite().all())


@pytest.mark.parametrize("sampler", ["ancestral", "first_hitting", "confidence"])
@torch.inference_mode()
def test_masked_sampler(benchmark: Any, seeds: Tensor, sampler: str) -> None:
    """16 steps of a sampler of masked diffusion, 8 texts of 32 tokens out of 200."""
    masked, logits = torch.full((TEXTS, LENGTH), MASK), torch.zeros(TEXTS, LENGTH, VOCABULARY)
    further: dict[str, Any] = {"steps": STEPS, "mask_id": MASK}
    if sampler == "ancestral":
        further["schedule"] = LogLinear()
    draw = getattr(masked_samplers, sampler)

    def run() -> Tensor:
        random = {} if sampler == "confidence" else {"seeds": CounterRNG(seeds)}
        made: Tensor = draw(lambda sequence: logits, masked, **further, **random)
        return made

    assert not bool((benchmark(run) == MASK).any())


class Null(nn.Module):
    """Finds all tokens equally likely, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(VOCABULARY))

    def kv_cache(self, rows: int, positions: int) -> list[Tensor]:
        return [torch.zeros(rows, positions)]

    def forward(self, tokens: Tensor, kv_cache: list[Tensor], positions: Tensor, attended_length: int) -> Tensor:
        return self.logits.expand(len(tokens), -1)


@pytest.mark.parametrize("greedy", [True, False], ids=["greedy", "drawn"])
@torch.inference_mode()
def test_decoding_loop(benchmark: Any, seeds: Tensor, greedy: bool) -> None:
    """31 tokens of 8 texts, one after the other."""
    decoder = KVCacheDecoder("null", Null(), TEXTS, LENGTH)
    tokens, positions = torch.full((TEXTS,), 7), torch.zeros(TEXTS, dtype=torch.long)
    setting, steps = Decoding(greedy=greedy), LENGTH - 1
    written = benchmark(
        lambda: decoder.decode(tokens, positions, 0, steps, setting, CounterRNG(seeds), compaction=AT_ONCE)
    )
    assert written.shape == (TEXTS, steps)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_counter_rng(benchmark: Any, seeds: Tensor, kind: str) -> None:
    """1,536 numbers a text, 8 texts."""
    numbers = benchmark(lambda: getattr(CounterRNG(seeds), kind)(16, 96))
    assert numbers.shape == (TEXTS, 16, 96)


@pytest.mark.parametrize("progress", [None, 0.5], ids=["full", "curriculum"])
def test_corruption(benchmark: Any, seeds: Tensor, progress: float | None) -> None:
    """Of 8 texts of 32 states, 128 wide."""
    states, mask = torch.ones(TEXTS, LENGTH, 128), torch.ones(TEXTS, LENGTH, dtype=torch.bool)
    config = CorruptionConfig(drop_share=0.5, noise_share=0.5, latent_share=1.0, full_from=1.0 if progress else 0.0)
    used = None if progress is None else torch.tensor(progress)
    made = benchmark(lambda: corrupt(states, mask, (16, 96), config, CounterRNG(seeds), used))
    assert made.states.shape == states.shape and not bool(made.keep.all())


@torch.inference_mode()
def test_standardiser(benchmark: Any) -> None:
    """Of 8 texts of 32 states, 384 wide."""
    standardiser, mask = Standardiser(384), torch.ones(TEXTS, LENGTH, dtype=torch.bool)
    assert benchmark(lambda: standardiser(torch.ones(TEXTS, LENGTH, 384), mask)).shape == (TEXTS, LENGTH, 384)
