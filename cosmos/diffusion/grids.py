"""Time grids for few calls, chosen by looking at a trained denoiser's own trajectories.

One trajectory of DPM-Solver++(2M) through many nodes gives states x_i and estimates D_i at all of them. From these
alone, without another call, follows where a longer step from node i to node j would have ended: it is linear in x_i,
D_i and the estimate D_h before, so its distance from x_j, and that of an estimate from the trajectory's last, is a
quadratic form of their inner products. The grid of n calls with the least sum of such distances (root mean squares) is
found exactly, for all n at once, by dynamic programming over the last two nodes. Its last node is where the returned
prediction is made, so the end noise is chosen with the rest. The sum bounds the error at the end where the flow brings
states no further apart, which for data of unit variance it does not on average. (Local errors on a teacher's trajectory
and dynamic programming: Chen et al., 2024, arXiv:2405.11326, for first-order steps.)

Axis legend in `cosmos.models.blocks`; M nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cosmos.diffusion.samplers import START_NOISE, Denoise, Grid, call_grid, dpmpp_2m_rule, noises_between
from cosmos.diffusion.schedule import Schedule

NODES = 40  # of a trajectory, from which those of a grid are chosen
LEAST_NOISE = 0.02  # sigma/alpha at the last of them
MOST_CALLS = 32  # of a grid


def fine_noises() -> tuple[float, ...]:
    """sigma/alpha of all nodes."""
    return noises_between(START_NOISE, LEAST_NOISE, NODES)


class Products(NamedTuple):
    """Mean inner products over texts and numbers of a trajectory's vectors x_0 ... x_M-1, D_0 ... D_M-1."""

    matrix: Tensor  # float64 [2 M, 2 M], on the host
    count: int  # texts


def products(denoise: Denoise, x: Tensor, grid: Grid) -> Products:
    """Follow trajectories from noise x [B, N, C] through a grid whose last node is no noise; M calls."""
    states, estimates = [], []
    estimate: Tensor | None = None
    for i in range(grid.steps):
        before, estimate = estimate, denoise(x, grid.t[i], estimate)
        states.append(x)
        estimates.append(estimate)
        weights = dpmpp_2m_rule(grid, i)
        x = weights.state * x + weights.estimate * estimate
        if before is not None:
            x = x + weights.previous * before
    vectors = torch.stack([part.flatten() for part in (*states, *estimates)])  # [2 M, B N C]
    parts = (part.double() for part in vectors.split(1 << 18, 1))
    matrix = sum((part @ part.T for part in parts), torch.zeros((), dtype=torch.float64, device=x.device))
    return Products((matrix / vectors.shape[1]).cpu(), len(x))


def joined(parts: Sequence[Products]) -> Products:
    """Those of several batches."""
    count = sum(part.count for part in parts)
    return Products(sum((part.matrix * (part.count / count) for part in parts), torch.zeros(())), count)


def best_nodes(found: Products, grid: Grid, most: int = MOST_CALLS) -> dict[int, tuple[int, ...]]:
    """For every number of calls up to `most`: the nodes of a trajectory's grid at which to make them, the first of all
    among them."""
    step, end = _errors(found, grid)
    m = grid.steps
    # cost[i, j]: the least of any grid whose last two calls are at i and j, and from[i, j] the call before.
    cost = torch.full((m, m), math.inf, dtype=torch.float64)
    cost[0] = step[m, 0]
    chosen: list[Tensor] = []
    best = {1: (0,)}
    for calls in range(2, min(most, m) + 1):
        total = cost + end[None, :]
        last = divmod(int(total.argmin()), m)
        nodes = [last[1], last[0]]
        for place in reversed(chosen):
            nodes.append(int(place[nodes[-1], nodes[-2]]))
        best[calls] = tuple(reversed(nodes))
        ways = cost[:, :, None] + step[:m]  # [h, i, j]
        cost, place = ways.min(0)
        chosen.append(place)
    return best


def _errors(found: Products, grid: Grid) -> tuple[Tensor, Tensor]:
    """The errors of a step from i to j after h, float64 [M + 1, M, M] (h = M: the first step, from i = 0; infinite
    where nodes are not in order), and of an estimate at i as the end [M]."""
    m, matrix = grid.steps, found.matrix
    rows, weights, places = [], [], []
    for i in range(m):
        for h in (m,) if i == 0 else range(i):
            for j in range(i + 1, m):
                nodes = ((i,) if h == m else (h, i)) + (j,)
                part = Grid(
                    *(tuple(value[node] for node in nodes) for value in (grid.t, grid.alpha, grid.sigma, grid.beta))
                )
                rule = dpmpp_2m_rule(part, len(nodes) - 2)
                rows.append((i, j, m + i, m + (h if h < m else i)))
                weights.append((rule.state, -1.0, rule.estimate, rule.previous))
                places.append((h, i, j))
    index, weight = torch.tensor(rows), torch.tensor(weights, dtype=torch.float64)
    squares = (weight[:, :, None] * weight[:, None, :] * matrix[index[:, :, None], index[:, None, :]]).sum((1, 2))
    step = torch.full((m + 1, m, m), math.inf, dtype=torch.float64)
    step[tuple(torch.tensor(places).T)] = squares.clamp_min(0.0).sqrt()
    own = matrix.diagonal()[m:]
    end = (own - 2 * matrix[m:, -1] + own[-1]).clamp_min(0.0).sqrt()
    return step, end


def optimised_grids(found: Products, schedule: Schedule) -> dict[int, tuple[float, ...]]:
    """For every number of calls the noises sigma/alpha, falling, at which `call_grid` should make them."""
    noises = fine_noises()
    nodes = best_nodes(found, call_grid(schedule, noises))
    return {calls: tuple(noises[i] for i in chosen) for calls, chosen in nodes.items()}
