"""bfloat16 against float32 on the GPU: a denoiser call, a decoder call, the losses."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from cosmos.config import LADDER, AutoencoderConfig, DenoiserConfig, DiffusionConfig
from cosmos.diffusion.objective import diffusion_loss
from cosmos.models.autoencoder import Autoencoder, autoencoder_loss
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime.rng import CounterRNG

pytestmark = pytest.mark.gpu

ROWS, TEXT, VOCABULARY = 8, 48, 200
AUTOENCODER = AutoencoderConfig(
    text_width=TEXT, latent_width=32, width=64, latents=8, layers=3, heads=4, max_tokens=16, vocabulary=VOCABULARY,
    dropout=0.0,
)  # fmt: skip
DENOISER = DenoiserConfig(
    latents=8, latent_width=32, width=64, layers=6, heads=4, output_norm=False, source_width=TEXT, source_layers=2,
    max_source_tokens=16,
)  # fmt: skip


def relative_error(found: Tensor, expected: Tensor) -> float:
    assert found.isfinite().all()
    return float((found.double() - expected.double()).norm() / expected.double().norm())


def numbers(device: str, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))).to(device)


def source(device: str) -> SourceStates:
    mask = torch.arange(16, device=device) < torch.arange(9, 9 + ROWS, device=device)[:, None]
    return SourceStates(numbers(device, ROWS, 16, TEXT), mask)


@torch.no_grad()
def test_a_call_of_the_denoiser(device: str) -> None:
    torch.manual_seed(0)
    single = Denoiser(DENOISER).to(device).eval()
    half = copy.deepcopy(single).bfloat16()
    x, estimate, t = numbers(device, ROWS, 8, 32), numbers(device, ROWS, 8, 32) * 0.5, torch.full((1,), 0.4).to(device)
    given = source(device)
    expected = single(x, t, estimate, single.encode_condition(given))
    told = half.encode_condition(SourceStates(given.states.bfloat16(), given.mask))
    assert 1e-5 < relative_error(half(x.bfloat16(), t, estimate.bfloat16(), told), expected) < 0.03


@torch.no_grad()
def test_a_call_of_the_decompressor(device: str) -> None:
    torch.manual_seed(0)
    single = Autoencoder(AUTOENCODER).to(device).eval()
    half = copy.deepcopy(single).bfloat16()
    latents = numbers(device, ROWS, 8, 32)
    assert 1e-5 < relative_error(half.decompress(latents.bfloat16()), single.decompress(latents)) < 0.03


@torch.no_grad()
def test_the_losses_under_autocast(device: str) -> None:
    torch.manual_seed(0)
    denoiser, autoencoder = Denoiser(DENOISER).to(device), Autoencoder(AUTOENCODER).to(device)
    states, seeds = numbers(device, ROWS, 16, TEXT), torch.arange(ROWS, device=device)
    tokens = torch.randint(VOCABULARY, (ROWS, 16), generator=torch.Generator().manual_seed(1)).to(device)
    mask = source(device).mask

    def losses() -> list[Tensor]:
        first = autoencoder_loss(autoencoder, states, tokens, mask, LADDER["latent"], CounterRNG(seeds))
        second = diffusion_loss(
            denoiser, numbers(device, ROWS, 8, 32), DiffusionConfig(), CounterRNG(seeds), source(device)
        )
        return [first[0] / first[1], second[0] / second[1]]

    expected = losses()
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        found = losses()
    for half, single in zip(found, expected, strict=True):
        assert half.dtype == torch.float32
        assert relative_error(half, single) < 0.01
