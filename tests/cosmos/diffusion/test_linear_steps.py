"""Steps of linear solvers: the numbers of the loop that draws and adds one thing after the other, in fewer kernels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cosmos.config import SamplerSetting
from cosmos.diffusion import linear_steps
from cosmos.diffusion.linear_steps import Coefficients, compiled_step, linear_step, noises
from cosmos.diffusion.samplers import RULES, Grid, Solved, make_grid, march
from cosmos.diffusion.schedule import Tangent
from cosmos.runtime import compilation
from cosmos.runtime.rng import CounterRNG

SCHEDULE = Tangent(5.0)
START = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
WEIGHTS = [Coefficients(0.9, 0.2, 0.3, -0.1), Coefficients(0.8, 0.1), Coefficients(1.1, -0.4, 0.7)]
needs_compiler = pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")


def denoise(x: Tensor, t: float, estimate: Tensor | None) -> Tensor:
    return torch.tanh(x) * (1 - t) + (0.0 if estimate is None else 0.1 * estimate)


def streams(compiled: bool = False) -> CounterRNG:
    return CounterRNG(torch.tensor([4, 9, 2]), compiled, fused=compiled)


def grid_of(solver: Any, steps: int) -> Grid:
    """In log-SNR where the solver extrapolates, which it cannot from pure noise."""
    return make_grid(SCHEDULE, SamplerSetting(solver, steps, "log_snr" if solver.startswith("dpmpp") else "time"))


def step_by_step(solver: Any, steps: int) -> Solved:
    """One draw at each step, and one sum after the other."""
    grid, generator = grid_of(solver, steps), streams()
    x, mean, estimate, before = START, START, None, None
    for i in range(steps):
        before, estimate = estimate, denoise(x, grid.t[i], estimate)
        weights = RULES[solver](grid, i)
        mean = torch.add(weights.state * x, estimate, alpha=weights.estimate)
        if before is not None and weights.previous:
            mean = torch.add(mean, before, alpha=weights.previous)
        x = mean
        if weights.noise:
            x = torch.add(mean, generator.normal(4, 5), alpha=weights.noise)
    assert estimate is not None
    return Solved(x, mean, estimate)


@pytest.mark.parametrize("solver", RULES)
@pytest.mark.parametrize("ahead", [1, 3 * 4 * 5 * 3, 1 << 20])
def test_what_is_drawn_ahead_is_what_each_step_would_draw(
    solver: Any, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_steps, "DRAWN_AHEAD", ahead)
    expected = step_by_step(solver, 8)
    found = march(denoise, START, grid_of(solver, 8), RULES[solver], streams())
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_as_much_is_drawn_at_once_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_steps, "DRAWN_AHEAD", 2 * START.numel() + 1)
    generator, draws = streams(), list[int]()
    normals = generator.normals

    def counted(count: int, *shape: int, **how: Any) -> Tensor:
        draws.append(count)
        return normals(count, *shape, **how)

    monkeypatch.setattr(generator, "normals", counted)
    found = list(noises(START, 5, generator))
    assert draws == [2, 2, 1]
    assert torch.equal(torch.stack(found), streams().normals(5, 4, 5))


def test_no_noise_is_drawn_where_none_is_added() -> None:
    generator = streams()
    march(denoise, START, grid_of("ddim", 4), RULES["ddim"], generator)
    assert generator.draws == 0
    with pytest.raises(AssertionError, match="generator"):
        march(denoise, START, grid_of("release", 4), RULES["release"])


@pytest.mark.slow
@needs_compiler
def test_a_compiled_step_is_the_same_sum_whatever_its_coefficients() -> None:
    estimate, before, noise = (torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(n)) for n in (1, 2, 3))
    torch._dynamo.reset()
    with compilation.compiled([]):
        for weights in WEIGHTS:
            given = (before if weights.previous else None, noise if weights.noise else None)
            for narrow in (estimate, estimate.bfloat16()):
                found = compiled_step(START, narrow, *given, weights)
                torch.testing.assert_close(found, linear_step(START, narrow, *given, weights), rtol=1e-6, atol=1e-6)
        made = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        for number in range(20):
            compiled_step(START, estimate, before, noise, Coefficients(0.5, 0.1 * number, 0.2, 0.3 + number))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == made


@needs_compiler
@pytest.mark.parametrize("solver", ["release", "dpmpp_2m_sde"])
def test_a_compiled_march_ends_where_the_plain_one_does(solver: Any) -> None:
    grid = grid_of(solver, 6)
    expected = march(denoise, START, grid, RULES[solver], streams())
    with compilation.compiled([]):
        found = march(denoise, START, grid, RULES[solver], streams(compiled=True))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
