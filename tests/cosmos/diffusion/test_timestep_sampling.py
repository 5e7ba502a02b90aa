"""Adaptive times: a density, its inverse, isotonic regression, and losses that grow evenly with what is drawn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosmos.diffusion.timestep_sampling import AdaptiveTimes, bin_masses, isotonic


def curve(t: Tensor) -> Tensor:
    """A loss that rises slowly, then fast, then slowly: known, with a derivative that is known too."""
    return 0.1 + torch.sigmoid(12 * (t - 0.4))


def adapted(bins: int = 40, steps: int = 300, noise: float = 0.0) -> AdaptiveTimes:
    """Times after so many steps in which texts had the losses of the curve."""
    times = AdaptiveTimes(bins, decay=0.98, refresh_steps=10)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        t = times(torch.rand(64, generator=generator, dtype=torch.float64))
        losses = curve(t) * (1 + noise * torch.randn(64, generator=generator, dtype=torch.float64))
        times.update(*times.summed(t, losses))
    return times


def test_times_are_uniform_before_anything_is_known() -> None:
    u = torch.linspace(0, 1, 1001, dtype=torch.float64)
    assert torch.allclose(AdaptiveTimes(7, 0.9, 1)(u), u, atol=1e-12)


@pytest.mark.parametrize("bins", [2, 20, 100])
def test_the_density_integrates_to_one(bins: int) -> None:
    times = adapted(bins, steps=60, noise=0.5)
    middles = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    density = times.density(middles)
    assert density.mean() == pytest.approx(1.0, abs=1e-9)
    assert density.min() >= times.uniform_share * (1 - 1e-9) > 0  # no time is forgotten


def test_what_is_drawn_has_the_density() -> None:
    times = adapted()
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    t = times(u)
    assert (t.diff() > 0).all() and t[0] >= 0 and t[-1] <= 1
    found = torch.histc(t, 40, 0, 1) / len(t)
    assert torch.allclose(found, times.mass, atol=2e-5)
    # F is the inverse of the cumulative density: its slope is 1 / density.
    slope = 2e-6 / (times(u + 1e-6) - times(u - 1e-6))
    inner = (times._bin(times(u + 1e-6)) == times._bin(times(u - 1e-6))).nonzero()[:, 0]
    assert torch.allclose(slope[inner], times.density(t)[inner], rtol=1e-3)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_expected_loss_grows_linearly_in_what_is_drawn(noise: float) -> None:
    """And so equal parts of what is drawn bring equal rises of the loss; of uniform times they do not."""
    times = adapted(noise=noise)
    u = torch.linspace(0, 1, 11, dtype=torch.float64)
    losses = curve(times(u))
    rises = losses.diff() / (curve(torch.ones(())) - curve(torch.zeros(())))  # each a tenth, if all are equal
    assert rises.max() < (0.115 if noise == 0 else 0.15)
    assert rises.min() > (0.075 if noise == 0 else 0.04)  # at the ends, where the uniform share of times is most
    uniform = curve(u).diff() / (losses[-1] - losses[0])
    assert uniform.max() > 0.25 and uniform.min() < 0.01


def test_the_density_is_the_share_of_the_rise() -> None:
    middles = (torch.arange(50, dtype=torch.float64) + 0.5) / 50
    mass = bin_masses(curve(middles), torch.ones(50, dtype=torch.float64))
    edges = torch.linspace(0, 1, 51, dtype=torch.float64)
    rise = curve(edges).diff() / (curve(edges[-1]) - curve(edges[0]))
    assert torch.allclose(mass, rise, atol=1e-3)


def test_a_flat_loss_leaves_times_uniform() -> None:
    mass = bin_masses(torch.full((8,), 3.0, dtype=torch.float64), torch.ones(8, dtype=torch.float64))
    assert torch.allclose(mass, torch.full((8,), 0.125, dtype=torch.float64))


def test_isotonic_regression_is_that_of_pooling_adjacent_violators() -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        means = torch.rand(12, generator=generator, dtype=torch.float64) + torch.linspace(0, 1, 12)
        weights = torch.rand(12, generator=generator, dtype=torch.float64) + 0.01
        blocks: list[list[float]] = []  # sum, weight, length
        for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
            blocks.append([mean * weight, weight, 1])
            while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
                last = blocks.pop()
                blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
        pooled = [total / weight for total, weight, length in blocks for _ in range(int(length))]
        assert torch.allclose(isotonic(means * weights, weights), torch.tensor(pooled, dtype=torch.float64))


def test_bins_that_were_never_drawn_are_bridged() -> None:
    sums = torch.tensor([0.0, 0.2, 0.0, 0.0, 0.8, 0.0], dtype=torch.float64)
    weights = torch.tensor([0.0, 1.0, 0.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    found = isotonic(sums, weights)
    assert found.isfinite().all()
    assert (found.diff() >= 0).all()
    assert found[1] == 0.2 and found[4] == 0.8
    assert bin_masses(sums, weights).sum() == pytest.approx(1.0)


def test_the_density_is_renewed_at_its_steps_and_old_losses_fade() -> None:
    times = AdaptiveTimes(4, decay=0.5, refresh_steps=3)
    t = torch.tensor([0.1, 0.3, 0.6, 0.9], dtype=torch.float64)
    uniform = times.mass.clone()
    for _ in range(2):
        times.update(*times.summed(t, torch.tensor([0.0, 1.0, 1.0, 1.0])))
        assert torch.equal(times.mass, uniform)
    times.update(*times.summed(t, torch.tensor([0.0, 1.0, 1.0, 1.0])))
    first = times.mass.clone()
    assert first[:2].sum() > 0.8
    for _ in range(30):
        times.update(*times.summed(t, torch.tensor([0.0, 0.0, 0.0, 1.0])))
    assert times.mass[-1] > 0.6
    assert times.weights.tolist() == pytest.approx([2.0] * 4)  # 1 + 1/2 + 1/4 + ...


def test_other_numbers_of_a_memory_give_other_times() -> None:
    """What no comparison of a training's first loss can see."""
    u = torch.linspace(0, 1, 9, dtype=torch.float64)

    def after(**changes: float) -> Tensor:
        values = {"bins": 8, "decay": 0.9, "refresh_steps": 2, "uniform_share": 0.1, **changes}
        numbers = int(values["bins"]), values["decay"], int(values["refresh_steps"]), values["uniform_share"]
        times = AdaptiveTimes(*numbers)
        for step in range(5):
            times.update(*times.summed(u, curve(u) * (1 + 0.3 * torch.sin(40 * u + step))))
        return times(u)

    usual = after()
    for change in ({"bins": 5}, {"decay": 0.2}, {"refresh_steps": 5}, {"uniform_share": 0.5}):
        assert not torch.allclose(after(**change), usual, atol=1e-4), change
