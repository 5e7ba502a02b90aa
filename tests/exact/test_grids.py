"""Optimised grids against truth: all grids tried, the error of steps that are made, and few calls on known data."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosmos.config import SamplerSetting
from cosmos.diffusion.grids import Products, best_nodes, fine_noises, joined, optimised_grids, products
from cosmos.diffusion.samplers import RULES, Grid, call_grid, march, noises_between, sample
from cosmos.diffusion.schedule import Tangent

sys.path.insert(0, str(Path(__file__).parent))
from test_solvers import exact

D = torch.float64
SCHEDULE = Tangent(5.0)
DENOISE = exact(SCHEDULE)


def noise(count: int) -> Tensor:
    """In even quantiles."""
    place = (torch.arange(count, dtype=D) + 0.5) / count
    return (2**0.5 * torch.erfinv(2 * place - 1))[:, None, None]


def chosen(grid: Grid, nodes: tuple[int, ...]) -> Grid:
    return Grid(*(tuple(part[i] for i in nodes) for part in (grid.t, grid.alpha, grid.sigma, grid.beta)))


def trajectory(grid: Grid, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """States and estimates of the solver at every node but the last."""
    states, estimates = [], []

    def watched(x: Tensor, t: float, earlier: Tensor | None) -> Tensor:
        states.append(x)
        estimates.append(DENOISE(x, t, earlier))
        return estimates[-1]

    march(watched, x, grid, RULES["dpmpp_2m"])
    return states, estimates


def rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def written_out(grid: Grid, states: list[Tensor], estimates: list[Tensor], nodes: tuple[int, ...]) -> float:
    """The sum of the errors of a grid's steps, each from where the trajectory was, and of the estimate returned."""
    total = rms(estimates[nodes[-1]] - estimates[-1])
    for place in range(1, len(nodes)):
        *earlier, i, j = nodes[max(0, place - 2) : place + 1]
        weights = RULES["dpmpp_2m"](chosen(grid, (*earlier, i, j)), len(earlier))
        reached = weights.state * states[i] + weights.estimate * estimates[i]
        if earlier:
            reached = reached + weights.previous * estimates[earlier[0]]
        total += rms(reached - states[j])
    return total


def test_the_chosen_grids_are_the_best_of_all_that_there_are() -> None:
    grid = call_grid(SCHEDULE, noises_between(60.0, 0.05, 9))
    states, estimates = trajectory(grid, noise(40))
    found = best_nodes(products(DENOISE, noise(40), grid), grid)
    assert list(found) == list(range(1, 10))
    for calls, nodes in found.items():
        every = [(0, *rest) for rest in itertools.combinations(range(1, 9), calls - 1)]
        errors = [written_out(grid, states, estimates, nodes) for nodes in every]
        assert nodes in every
        assert written_out(grid, states, estimates, nodes) == pytest.approx(min(errors), abs=1e-6)
        assert calls in (1, 9) or min(errors) < 0.9 * max(errors)


def test_products_of_batches_are_those_of_all_texts() -> None:
    grid = call_grid(SCHEDULE, noises_between(60.0, 0.05, 5))
    x = noise(30)
    parts = [products(DENOISE, x[:20], grid), products(DENOISE, x[20:], grid)]
    whole = products(DENOISE, x, grid)
    assert torch.allclose(joined(parts).matrix, whole.matrix) and joined(parts).count == 30
    assert whole.matrix.shape == (10, 10)
    assert float(whole.matrix[0, 0]) == pytest.approx(float(x.square().mean()))


@pytest.fixture(scope="module")
def optimised() -> dict[int, tuple[float, ...]]:
    return optimised_grids(products(DENOISE, noise(100), call_grid(SCHEDULE, fine_noises())), SCHEDULE)


@pytest.mark.parametrize("calls", [4, 5, 6, 8, 12])
def test_few_calls_on_an_optimised_grid_are_nearer_the_flow(
    optimised: dict[int, tuple[float, ...]], calls: int
) -> None:
    """Than on grids that are even, in time or in log-SNR, with the same number of calls."""
    x = noise(501)
    fine = call_grid(SCHEDULE, noises_between(63.0, 0.01, 600))
    truth = march(DENOISE, x, fine, RULES["dpmpp_2m"]).mean

    def error(found: Tensor) -> float:
        return float((found - truth).abs().mean())

    mine = error(march(DENOISE, x, call_grid(SCHEDULE, optimised[calls]), RULES["dpmpp_2m"]).mean)
    for spacing in ("time", "log_snr"):
        setting = SamplerSetting("dpmpp_2m", calls - 1, spacing, final_x0=True)
        assert mine < error(sample(DENOISE, x, setting, SCHEDULE)), spacing


def test_grids_fall_from_the_start_and_end_with_less_noise_the_more_calls(
    optimised: dict[int, tuple[float, ...]],
) -> None:
    for calls, noises in optimised.items():
        assert len(noises) == calls and noises[0] == fine_noises()[0]
        assert list(noises) == sorted(noises, reverse=True)
    assert optimised[16][-1] <= optimised[4][-1] < optimised[2][-1]


def test_a_trajectory_that_stays_where_it_is_needs_one_call() -> None:
    found = best_nodes(Products(torch.zeros(8, 8, dtype=D), 1), call_grid(SCHEDULE, noises_between(60.0, 0.05, 4)))
    assert found[1] == (0,) and [len(nodes) for nodes in found.values()] == [1, 2, 3, 4]
