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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_draws_at_once_are_the_draws_one_by_one(dtype: torch.dtype) -> None:
    one_by_one, at_once = streams(5), streams(5)
    expected = [one_by_one.normal(3, 7, dtype=dtype) for _ in range(4)]
    assert torch.equal(at_once.normals(4, 3, 7, dtype=dtype), torch.stack(expected))
    assert torch.equal(at_once.uniforms(3, 2), torch.stack([one_by_one.uniform(2) for _ in range(3)]))
    assert torch.equal(at_once.normal(6), one_by_one.normal(6)) and at_once.draws == one_by_one.draws == 8
    alone = CounterRNG(torch.tensor([2]))
    assert torch.equal(alone.normals(4, 3, 7, dtype=dtype)[:, 0], torch.stack(expected)[:, 2])


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


def plain_hash(keys: list[int], draw: int, count: int) -> list[list[int]]:
    """SplitMix64's finaliser of integers of any size, reduced modulo 2^64: what the generator is defined to be."""
    most, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15

    def mix(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & most
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & most
        return x ^ (x >> 31)

    streams = [(mix((key * golden + 0xBF58476D1CE4E5B9) & most) + draw * golden) & most for key in keys]
    return [[mix((mix(stream) + place * golden) & most) for place in range(1, count + 1)] for stream in streams]


def test_numbers_are_bit_for_bit_those_of_the_definition() -> None:
    keys, count = [0, 3, 2**61 + 5], 7
    seeds = CounterRNG(torch.tensor(keys))
    first, second = plain_hash(keys, 1, count), plain_hash(keys, 2, count)
    uniform = [[(float(bits >> 11) + 0.5) * 2.0**-53 for bits in row] for row in first]
    assert torch.equal(seeds.uniform(count), torch.tensor(uniform, dtype=torch.float64))
    high = torch.tensor([[bits >> 32 for bits in row] for row in second], dtype=torch.float64)
    low = torch.tensor([[bits & 0xFFFFFFFF for bits in row] for row in second], dtype=torch.float64)
    radius = torch.sqrt(-2.0 * torch.log((high + 0.5) * 2.0**-32))
    normal = radius * torch.cos(low * (2.0 * math.pi * 2.0**-32))
    assert torch.equal(seeds.normal(count, dtype=torch.float64), normal)


def test_the_numbers_of_published_runs_are_kept_to_the_bit() -> None:
    seeds = CounterRNG(torch.tensor([11, 2**62 - 1]))
    assert [value.hex() for value in seeds.uniform(2).flatten().tolist()] == UNIFORM
    assert seeds.normal(3).view(torch.int32).flatten().tolist() == NORMAL


UNIFORM = ["0x1.4690a143e87b2p-1", "0x1.b0e425f200fa4p-1", "0x1.5a57c0f4e7bc3p-2", "0x1.8deadb9bd3077p-2"]
NORMAL = [-1080337281, -1106094649, -1075833148, -1081792458, 1041169987, 1056345600]
