"""Solvers against truth: order on a Gaussian mixture with the exact denoiser, kept variance, few steps."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from cosmos.config import SamplerSetting, SolverName
from cosmos.diffusion import samplers
from cosmos.diffusion.samplers import Denoise, grid_at, sample
from cosmos.diffusion.schedule import Linear, Schedule, Tangent

D = torch.float64


def mixture() -> tuple[torch.Tensor, torch.Tensor, float]:
    """Weights and means of five modes with one deviation, of mean 0 and variance 1 as latents have."""
    weights = torch.tensor([0.10, 0.15, 0.20, 0.25, 0.30], dtype=D)
    means = torch.tensor([-1.6, -0.8, 0.0, 0.7, 1.3], dtype=D)
    means = means - (weights * means).sum()
    scale = math.sqrt(float((weights * means**2).sum()) + 0.08**2)
    return weights, means / scale, 0.08 / scale


WEIGHTS, MEANS, DEVIATION = mixture()


def exact(schedule: Schedule) -> Denoise:
    """E[x_0 | x_t] of the mixture, each number of x on its own."""

    def denoise(x: torch.Tensor, t: float, estimate: torch.Tensor | None) -> torch.Tensor:
        time = torch.tensor(t, dtype=D)
        alpha, sigma = float(schedule.alpha(time)), float(schedule.sigma(time))
        variance = alpha**2 * DEVIATION**2 + sigma**2
        off = x[..., None] - alpha * MEANS
        posterior = torch.softmax(WEIGHTS.log() - off**2 / (2 * variance), -1)
        return (posterior * (MEANS + alpha * DEVIATION**2 / variance * off)).sum(-1)

    return denoise


def times(schedule: Schedule, steps: int, spacing: str) -> torch.Tensor:
    """From t = 0.9, below the limit of beta, to 0.05."""
    ends = torch.tensor([0.9, 0.05], dtype=D)
    if spacing == "time":
        return torch.linspace(0.9, 0.05, steps + 1, dtype=D)
    low, high = schedule.log_snr(ends).tolist()
    return schedule.time(torch.linspace(low, high, steps + 1, dtype=D))


def solve(schedule: Schedule, solver: str, steps: int, spacing: str) -> torch.Tensor:
    start = torch.linspace(-2, 2, 41, dtype=D)[:, None, None]
    return samplers.solve(solver, exact(schedule), start, grid_at(schedule, times(schedule, steps, spacing))).state


@pytest.fixture(scope="module")
def truth() -> dict[Schedule, torch.Tensor]:
    """The end of the probability-flow ODE: of the best of the solvers, without the error that falls by four where steps
    are halved."""
    ends = {}
    for schedule in (Tangent(5.0), Linear()):
        coarse, fine = (solve(schedule, "heun", steps, "log_snr") for steps in (500, 1000))
        ends[schedule] = (4 * fine - coarse) / 3
    return ends


@pytest.mark.parametrize("spacing", ["time", "log_snr"])
@pytest.mark.parametrize("schedule", [Tangent(5.0), Linear()], ids=str)
@pytest.mark.parametrize(("solver", "order"), [("euler_ode", 1), ("ddim", 1), ("heun", 2), ("dpmpp_2m", 2)])
def test_order(truth, solver, order, schedule, spacing):
    counts = [64, 128, 256]
    errors = [(solve(schedule, solver, count, spacing) - truth[schedule]).abs().mean() for count in counts]
    x = torch.tensor(counts, dtype=D).log()
    y = torch.stack(errors).log()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    assert float(-slope) == pytest.approx(order, abs=0.15)


def gaussian(schedule: Schedule, deviation: float) -> Denoise:
    """E[x_0 | x_t] of N(0, deviation^2)."""

    def denoise(x: torch.Tensor, t: float, estimate: torch.Tensor | None) -> torch.Tensor:
        time = torch.tensor(t, dtype=D)
        alpha, sigma = float(schedule.alpha(time)), float(schedule.sigma(time))
        return alpha * deviation**2 / (alpha**2 * deviation**2 + sigma**2) * x

    return denoise


@pytest.mark.parametrize("deviation", [1.0, 0.3])
@pytest.mark.parametrize(
    ("solver", "steps", "spacing", "tolerance"),
    [
        ("release", 400, "time", 0.03),
        ("ddpm", 200, "log_snr", 0.03),
        ("dpmpp_2m_sde", 40, "log_snr", 0.03),
        ("dpmpp_2m_sde", 40, "time", 0.05),
    ],
)
def test_stochastic_solvers_keep_the_variance(solver, steps, spacing, tolerance, deviation):
    schedule = Tangent(5.0)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(20_000, 1, 1, generator=generator, dtype=D)
    grid = grid_at(schedule, times(schedule, steps, spacing))
    state = samplers.solve(solver, gaussian(schedule, deviation), start, grid, generator).state
    expected = grid.alpha[-1] ** 2 * deviation**2 + grid.sigma[-1] ** 2
    assert float(state.var()) == pytest.approx(expected, rel=tolerance)


def distance(solver: str, steps: int, final_x0: bool, spacing: str = "time") -> float:
    """Total variation between the weights of the modes reached and the true ones; noise in even quantiles."""
    schedule, count = Tangent(5.0), 8000
    place = (torch.arange(count, dtype=D) + 0.5) / count
    start = (math.sqrt(2) * torch.erfinv(2 * place - 1))[:, None, None]
    setting = SamplerSetting(solver, steps, spacing, final_x0=final_x0)
    reached = sample(exact(schedule), start, setting, schedule, torch.Generator().manual_seed(0))
    modes = (reached[..., None] - MEANS).abs().argmin(-1).flatten()
    return float((torch.bincount(modes, minlength=5) / count - WEIGHTS).abs().sum() / 2)


def test_few_steps_of_dpmpp_2m_are_as_good_as_200_of_the_release():
    """The toy table of baselines.md 6.2, on our own five modes."""
    release = distance("release", 200, final_x0=False)
    assert release == pytest.approx(0.05, abs=0.015)  # the decoded mean is still noisy
    assert distance("release", 10, final_x0=False) > 4 * release
    floor = distance("release", 200, final_x0=True)
    assert floor == pytest.approx(0.018, abs=0.008)
    for spacing in ("time", "log_snr"):
        assert distance("dpmpp_2m", 10, final_x0=True, spacing=spacing) < min(release, floor + 0.004)
    assert distance("ddim", 10, final_x0=True) > 4 * floor
    assert distance("dpmpp_2m", 4, final_x0=True) < distance("release", 10, final_x0=False)


def test_the_more_steps_the_nearer_for_each_solver():
    schedule = Tangent(5.0)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4000, 1, 1, generator=generator, dtype=D)
    for solver in get_args(SolverName):
        errors = []
        for steps in (5, 40):
            setting = SamplerSetting(solver, steps, "log_snr", final_x0=True)
            reached = sample(exact(schedule), start, setting, schedule, torch.Generator().manual_seed(1))
            modes = (reached[..., None] - MEANS).abs().argmin(-1).flatten()
            errors.append(float((torch.bincount(modes, minlength=5) / 4000 - WEIGHTS).abs().sum() / 2))
        assert errors[1] < errors[0] + 0.01, solver
        assert errors[1] < 0.06, solver
