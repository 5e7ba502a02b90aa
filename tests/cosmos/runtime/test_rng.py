"""Noise per text: right in distribution, and the same whatever the batch."""

import math

import pytest
import torch

from cosmos.runtime.rng import CounterRNG, normal_like


def streams(count: int, first: int = 0) -> CounterRNG:
    return CounterRNG(torch.arange(first, first + count))


def test_uniform_fills_the_interval_evenly() -> None:
    draws = streams(500).uniform(400).flatten()
    counts = torch.histc(draws, bins=100, min=0.0, max=1.0)
    expected = draws.numel() / 100
    chi_square = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_square < 99 + 5 * math.sqrt(2 * 99)  # five standard deviations of a chi-square with 99 degrees
    assert draws.min() > 0
    assert draws.max() < 1


def test_normal_has_the_moments_of_a_standard_normal() -> None:
    draws = streams(1000).normal(1000, dtype=torch.float64)
    count = draws.numel()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = abs(draws.pow(power).mean().item() - moment)
        assert error < 5 * math.sqrt(variance / count)


@pytest.mark.parametrize("pair", ["rows", "places", "draws"])
def test_streams_places_and_draws_are_uncorrelated(pair: str) -> None:
    seeds = streams(1000)
    first, second = seeds.normal(1000), seeds.normal(1000)
    left, right = {
        "rows": (first[:-1], first[1:]),
        "places": (first[:, :-1], first[:, 1:]),
        "draws": (first, second),
    }[pair]
    correlation = (left * right).mean().item()
    assert abs(correlation) < 5 / math.sqrt(left.numel())


def test_a_text_gets_the_same_noise_in_any_batch() -> None:
    batch = CounterRNG(torch.tensor([3, 5, 8]))
    alone = CounterRNG(torch.tensor([5]))
    for shape in ((4,), (2, 3)):
        assert torch.equal(batch.normal(*shape)[1], alone.normal(*shape)[0])


def test_rows_keep_their_place_in_the_stream() -> None:
    seeds = CounterRNG(torch.tensor([3, 5, 8]))
    seeds.uniform(2)
    part = seeds.rows(torch.tensor([True, False, True]))
    assert torch.equal(part.uniform(2), seeds.uniform(2)[[0, 2]])


def test_normal_like_follows_shape_and_dtype_for_both_generators() -> None:
    x = torch.empty(3, 2, 4, dtype=torch.float64)
    for generator in (CounterRNG(torch.arange(3)), torch.Generator().manual_seed(0)):
        noise = normal_like(x, generator)
        assert noise.shape == x.shape
        assert noise.dtype == x.dtype


def test_the_numbers_never_change() -> None:
    """Texts of published runs must be made again by every later version."""
    recorded = torch.tensor([-0.397916, 0.028062, -0.135361, 1.787760])
    assert torch.allclose(CounterRNG(torch.tensor([5])).normal(4), recorded, atol=1e-5)
