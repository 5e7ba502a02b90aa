"""v-prediction: the algebra between x_0, eps, x and v, and that a solver cannot tell it from x_0-prediction."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from baselines.latent_diffusion.ld4lg import COSINE, VelocityDenoiser, clean_of, velocity, velocity_loss
from cosmos.config import DenoiserConfig, DiffusionConfig, SamplerSetting, ScheduleConfig
from cosmos.diffusion.objective import diffuse, diffusion_loss, noised_example
from cosmos.diffusion.samplers import sample
from cosmos.runtime.rng import CounterRNG

CONFIG = DenoiserConfig(latents=3, latent_width=4, width=8, layers=2, heads=2, output_norm=False)
DIFFUSION = DiffusionConfig(ScheduleConfig("cosine"), self_conditioning="off")


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def denoiser() -> VelocityDenoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return VelocityDenoiser(CONFIG).double()


def test_the_cosine_schedule_is_a_cosine() -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert (COSINE.alpha(t) - torch.cos(math.pi * t / 2)).abs().max() < 1e-12
    assert (COSINE.sigma(t) - torch.sin(math.pi * t / 2)).abs().max() < 1e-7


def test_clean_and_noise_come_back_from_the_velocity() -> None:
    clean, noise = normal(1, 5, 3, 4), normal(2, 5, 3, 4)
    t = torch.tensor([1e-5, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
    noisy, v = diffuse(clean, t, noise, COSINE), velocity(clean, noise, t)
    alpha, sigma = COSINE.alpha(t)[:, None, None], COSINE.sigma(t)[:, None, None]
    assert (clean_of(noisy, v, t) - clean).abs().max() < 1e-12
    assert (sigma * noisy + alpha * v - noise).abs().max() < 1e-12
    # On the circle x = cos a x_0 + sin a eps, the velocity is dx/da.
    step = 1e-6
    moved = diffuse(clean[1:4], t[1:4] + step, noise[1:4], COSINE)
    slope = (moved - noisy[1:4]) / (step * math.pi / 2)
    assert (slope - v[1:4]).abs().max() < 1e-4


def test_a_call_gives_the_clean_estimate_of_its_velocity() -> None:
    model, x = denoiser(), normal(3, 2, 3, 4)
    t = torch.tensor([0.3, 0.8], dtype=torch.float64)
    v = model.predict(x, t, None, None)
    assert torch.equal(model(x, t), clean_of(x, v, t))
    assert v.abs().max() > 1e-3


def test_the_loss_is_that_of_the_estimate_over_the_variance() -> None:
    model, clean = denoiser(), normal(4, 6, 3, 4)
    t = noised_example(model, clean, DIFFUSION, CounterRNG(torch.arange(6))).t
    for row in range(6):
        rows = clean[row : row + 1]
        on_velocity = velocity_loss(model, rows, DIFFUSION, CounterRNG(torch.arange(row, row + 1)), None)
        on_clean = diffusion_loss(model, rows, DIFFUSION, CounterRNG(torch.arange(row, row + 1)))
        variance = COSINE.sigma(t[row]).square()
        assert float(on_velocity[0].detach() * variance) == pytest.approx(float(on_clean[0].detach()), rel=1e-4)
        assert float(on_velocity[1]) == 1.0


def test_the_last_ancestral_step_returns_the_last_estimate() -> None:
    seen: list[Tensor] = []

    def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
        seen.append(x * 0.5)
        return seen[-1]

    setting = SamplerSetting("ddpm", steps=250, end_noise=1e-4)
    x = sample(denoise, normal(5, 2, 3, 4), setting, COSINE, CounterRNG(torch.arange(2)))
    assert len(seen) == 250
    assert (x - seen[-1]).abs().max() < 1e-3
