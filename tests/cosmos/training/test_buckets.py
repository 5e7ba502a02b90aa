"""Batches by length: the same at any time, every row as often as others, few sizes that pad little."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosmos.training.batches import EpochSampler, Rows
from cosmos.training.buckets import (
    MIXED,
    POOL_BATCHES,
    Batches,
    BucketSampler,
    RaggedDataset,
    bucket_sizes,
    padded_share,
    positions_to_read,
)

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_training import TensorDataset

ROWS, BATCH, LONGEST = 100, 10, 44
LENGTHS = 3 + (torch.arange(ROWS) * 7919) % 40  # 3 to 42


class Ragged:
    """Rows that are their own number, as often as they are long."""

    lengths, longest = LENGTHS, LONGEST

    def __len__(self) -> int:
        return ROWS

    def batch(self, index: Tensor, length: int | None = None) -> Rows:
        length = length or int(LENGTHS[index].max())
        mask = torch.arange(length) < LENGTHS[index][:, None]
        return {"x": index[:, None] * mask, "mask": mask}


def sampler(sizes: tuple[int, ...], seed: int = 3) -> BucketSampler:
    return BucketSampler(EpochSampler(ROWS, seed), LENGTHS, sizes, BATCH, seed)


def test_sizes_are_multiples_of_eight_and_pad_the_least() -> None:
    lengths = torch.tensor([3] * 50 + [17] * 30 + [20] * 30 + [41] * 5)
    assert bucket_sizes(lengths, 1, 44) == (44,)
    assert bucket_sizes(lengths, 1, 100) == (48,)
    assert bucket_sizes(lengths, 3, 100) == (8, 24, 48) == bucket_sizes(lengths, 9, 100)
    edges = [8 * k for k in range(1, 7)]

    def area(sizes: tuple[int, ...]) -> int:
        return sum(min(size for size in sizes if size >= length) for length in lengths.tolist())

    for count in (1, 2, 3):
        all_choices = [(*choice, 48) for choice in itertools.combinations(edges[:-1], count - 1)]
        assert area(bucket_sizes(lengths, count, 100)) == min(map(area, all_choices))


def test_less_is_padded_with_more_sizes() -> None:
    shares = [padded_share(LENGTHS, bucket_sizes(LENGTHS, count, LONGEST)) for count in range(1, 7)]
    assert shares[0] == 1.0 and shares == sorted(shares, reverse=True) and len(set(shares)) == len(shares)
    # With a share of pools in which all batches are as long as can be.
    assert padded_share(torch.tensor([8, 8, 16, 16]), (8, 16)) == pytest.approx(0.75 + 0.25 / MIXED)


def test_every_row_is_seen_as_often_as_others() -> None:
    order, steps = sampler(bucket_sizes(LENGTHS, 3, LONGEST)), 5 * POOL_BATCHES  # whole pools, and whole epochs
    counts = torch.bincount(torch.cat([order.batch(step)[0] for step in range(steps)]), minlength=ROWS)
    assert counts.tolist() == [steps * BATCH // ROWS] * ROWS
    # Within a pool they are those of the permutations, in another order.
    pool = torch.cat([order.batch(step)[0] for step in range(POOL_BATCHES)])
    plain = EpochSampler(ROWS, 3).rows(0, POOL_BATCHES * BATCH)
    assert not torch.equal(pool, plain) and torch.equal(pool.sort().values, plain.sort().values)


def test_the_order_is_a_function_of_seed_and_step() -> None:
    sizes = bucket_sizes(LENGTHS, 3, LONGEST)
    forward = sampler(sizes)
    batches = [forward.batch(step) for step in range(5 * POOL_BATCHES)]
    for step in (71, 3, 40, 16, 15):  # from anywhere, without what came before
        rows, length = sampler(sizes).batch(step)
        assert torch.equal(rows, batches[step][0]) and length == batches[step][1]
    assert not torch.equal(sampler(sizes, 4).batch(0)[0], batches[0][0])


def test_batches_are_padded_to_few_sizes_and_most_are_of_one_bucket() -> None:
    sizes = bucket_sizes(LENGTHS, 3, LONGEST)
    order, mean = sampler(sizes), LENGTHS.double().mean()
    short = 0
    for step in range(MIXED * POOL_BATCHES):
        rows, length = order.batch(step)
        assert length in sizes and LENGTHS[rows].max() <= length
        assert length == min(size for size in sizes if size >= LENGTHS[rows].max())
        mixed = step // POOL_BATCHES % MIXED == MIXED - 1
        short += length < sizes[-1]
        if mixed:
            assert length == sizes[-1] and (LENGTHS[rows] < mean).any()
    assert short > 0.4 * (MIXED - 1) * POOL_BATCHES


def test_processes_share_a_batch() -> None:
    sizes, data = bucket_sizes(LENGTHS, 3, LONGEST), Ragged()
    assert isinstance(data, RaggedDataset) and not isinstance(TensorDataset({"x": LENGTHS}), RaggedDataset)
    whole, first, second = (
        Batches(data, EpochSampler(ROWS, 3), sizes, BATCH, part, 3)
        for part in (slice(0, 10), slice(0, 5), slice(5, 10))
    )
    for step in range(20):
        parts = [first(step)["x"], second(step)["x"]]
        assert torch.equal(torch.cat(parts), whole(step)["x"])


@pytest.mark.parametrize("fixed", [True, False])
def test_positions_are_those_that_are_scored(fixed: bool) -> None:
    scored = Ragged().batch(torch.arange(40))["mask"]
    positions = positions_to_read(scored, fixed)
    assert positions[positions >= 0].tolist() == scored.flatten().nonzero()[:, 0].tolist()
    assert fixed == (len(positions) > scored.sum()) and (not fixed or len(positions) % 16 == 0)
    assert len(positions) <= 1.13 * scored.sum()
