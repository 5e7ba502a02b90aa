"""Noise at a temperature against truth: where the denoiser is affine, so is the end in the noise, all of it."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from baselines.embedding_diffusion.diffuseq import EmbeddingSampling
from baselines.latent_diffusion.distillation import DistilledSampling
from baselines.latent_diffusion.settings import LatentSamplingSetting, OptimisedSampling
from cosmos.config import DenoiserConfig, DiffusionConfig, SamplerSetting, SolverName
from cosmos.diffusion.samplers import (
    RULES,
    Denoise,
    Grid,
    call_grid,
    cfg,
    make_grid,
    march,
    noises_between,
    sample,
    sample_latents,
    self_conditioning_guidance,
    solve,
    with_network,
)
from cosmos.diffusion.schedule import Tangent
from cosmos.io.errors import UserError
from cosmos.models.denoiser import Denoiser, SourceStates
from cosmos.runtime import compilation
from cosmos.runtime.rng import CounterRNG

D = torch.float64
MEAN, DEVIATION = 0.3, 0.5  # of the data, in every number
SCHEDULE = Tangent(5.0)
SEEDS = torch.arange(4)
STOCHASTIC = ("release", "ddpm", "dpmpp_2m_sde")


def exact(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
    """E[x_0 | x_t]."""
    time = torch.tensor(t, dtype=D)
    alpha, sigma = float(SCHEDULE.alpha(time)), float(SCHEDULE.sigma(time))
    gain = alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2)
    return MEAN + gain * (x - alpha * MEAN)


def bent(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
    """A denoiser that is not affine."""
    return torch.tanh(x) * (1 - t) + (0.0 if estimate is None else 0.1 * estimate)


def start(dtype: torch.dtype = D) -> Tensor:
    return torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


def grid_of(solver: Any, steps: int) -> Grid:
    """In log-SNR where the solver extrapolates, which it cannot from pure noise."""
    return make_grid(SCHEDULE, SamplerSetting(solver, steps, "log_snr" if solver.startswith("dpmpp") else "time"))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.3])
@pytest.mark.parametrize(("solver", "steps"), [("euler_ode", 2000), ("ddim", 2000), ("heun", 200), ("dpmpp_2m", 200)])
def test_a_solver_of_the_ode_ends_where_the_flow_does_from_the_scaled_start(
    solver: Any, steps: int, temperature: float
) -> None:
    """The flow keeps a number's place among the quantiles, so the deviation is the data's times the temperature."""
    setting = SamplerSetting(solver, steps, "log_snr", temperature=temperature)
    grid = make_grid(SCHEDULE, setting)
    first, last = (math.hypot(grid.alpha[i] * DEVIATION, grid.sigma[i]) for i in (0, -1))
    wanted = grid.alpha[-1] * MEAN + last / first * (temperature * start() - grid.alpha[0] * MEAN)
    assert torch.allclose(sample(exact, start(), setting, SCHEDULE), wanted, atol=3e-3)
    if temperature != 1.0:
        plain = sample(exact, start(), SamplerSetting(solver, steps, "log_snr"), SCHEDULE)
        assert (plain - wanted).abs().max() > 0.1


@pytest.mark.parametrize("final_x0", [False, True])
@pytest.mark.parametrize("solver", get_args(SolverName))
def test_the_end_is_a_line_in_the_temperature_of_all_noise(solver: Any, final_x0: bool) -> None:
    """Between the end without any noise and the plain one; it would be none if a draw were left as it was."""
    grid = grid_of(solver, 6)

    def end(temperature: float) -> Tensor:
        setting = SamplerSetting(solver, 6, final_x0=final_x0, temperature=temperature)
        return sample(exact, start(), setting, SCHEDULE, CounterRNG(SEEDS), grid)

    reached = solve(solver, exact, torch.zeros_like(start()), grid, CounterRNG(SEEDS), temperature=0.0)
    none = exact(reached.state, grid.t[-1], None) if final_x0 else reached.mean
    assert (none - none[0, 0, 0]).abs().max() < 1e-12  # nothing is drawn, so all numbers are one
    for temperature in (0.25, 0.8, 1.5):
        assert torch.allclose(end(temperature), none + temperature * (end(1.0) - none), atol=1e-7)
    assert (end(0.25) - end(1.0)).abs().max() > 0.05


@pytest.mark.parametrize("solver", STOCHASTIC)
def test_stochastic_solvers_have_the_deviation_of_the_data_times_the_temperature(solver: Any) -> None:
    setting = SamplerSetting(solver, 200, "log_snr", temperature=0.6)
    noise = torch.randn(20_000, 1, 1, generator=torch.Generator().manual_seed(0), dtype=D)
    grid, generator = make_grid(SCHEDULE, setting), torch.Generator().manual_seed(1)
    state = solve(solver, exact, noise, grid, generator, setting.temperature).state
    assert float(state.std()) == pytest.approx(0.6 * math.hypot(grid.alpha[-1] * DEVIATION, grid.sigma[-1]), rel=0.03)
    assert float(state.mean()) == pytest.approx(grid.alpha[-1] * MEAN, abs=0.03)


@pytest.mark.parametrize("solver", RULES)
def test_temperature_one_gives_the_bytes_of_the_steps_alone(solver: Any) -> None:
    grid, x = grid_of(solver, 8), start(torch.float32)
    alone = march(bent, x, grid, RULES[solver], CounterRNG(SEEDS))
    for setting in (SamplerSetting(solver, 8), SamplerSetting(solver, 8, temperature=1.0)):
        assert torch.equal(sample(bent, x, setting, SCHEDULE, CounterRNG(SEEDS), grid), alone.mean)
    colder = sample(bent, x, SamplerSetting(solver, 8, temperature=0.9), SCHEDULE, CounterRNG(SEEDS), grid)
    assert not torch.allclose(colder, alone.mean, atol=1e-3)


@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_compiled_steps_draw_at_the_same_temperature(solver: Any) -> None:
    given = bent, start(torch.float32), grid_of(solver, 6)
    expected = solve(solver, *given, CounterRNG(SEEDS), 0.7)
    with compilation.compiled([]):
        found = solve(solver, *given, CounterRNG(SEEDS, compiled=True, fused=True), 0.7)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found.mean, solve(solver, *given, CounterRNG(SEEDS)).mean, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize(
    "weights", [{}, {"guidance": 2.0}, {"self_guidance": 1.5}, {"guidance": 2.0, "self_guidance": 3.0}]
)
def test_guided_sampling_on_a_grid_of_its_own_draws_at_the_temperature(weights: dict[str, float]) -> None:
    torch.manual_seed(0)
    sizes = DenoiserConfig(latents=2, latent_width=3, width=8, layers=2, heads=2, source_width=5, source_layers=1)
    denoiser = Denoiser(sizes).eval()
    source = SourceStates(torch.randn(4, 6, 5), torch.ones(4, 6, dtype=torch.bool))
    setting = SamplerSetting("ddpm", 5, temperature=0.7, **weights)
    grid = call_grid(SCHEDULE, noises_between(30.0, 0.3, 5))
    found = sample_latents(denoiser, DiffusionConfig(), setting, SEEDS, source, grid=grid)

    halves = (denoiser.encode_condition(source), denoiser.null_condition(4))
    guided = cfg(*(with_network(denoiser, half) for half in halves), setting.guidance, (0.0, math.inf), SCHEDULE)
    denoise: Denoise = self_conditioning_guidance(guided, setting.self_guidance)
    streams = CounterRNG(SEEDS)
    x, estimate = 0.7 * streams.normal(2, 3), None
    for i in range(grid.steps):
        estimate = denoise(x, grid.t[i], estimate)
        step = RULES["ddpm"](grid, i)
        x = step.state * x + step.estimate * estimate
        x = x if step.noise == 0.0 else x + 0.7 * step.noise * streams.normal(2, 3)
    assert torch.allclose(found, x, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize(
    "setting",
    [
        SamplerSetting,
        LatentSamplingSetting,
        OptimisedSampling,
        EmbeddingSampling,
        lambda **key: DistilledSampling(4, **key),
    ],
)
def test_what_is_no_temperature_is_refused(setting: Any, temperature: float) -> None:
    given = {"solver": "ddim"} if setting is OptimisedSampling else {}
    with pytest.raises(UserError, match="temperature must be positive and finite"):
        setting(temperature=temperature, **given)
    assert setting(temperature=0.8, **given).temperature == 0.8
