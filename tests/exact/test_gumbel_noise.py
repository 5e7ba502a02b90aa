"""Why masked positions are drawn in two stages: Gumbel noise in single precision loses rare tokens (Zheng et al., 2024,
arXiv:2409.02908), and with them entropy."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.token_diffusion.masked import LogLinear
from baselines.token_diffusion.masked_samplers import ancestral
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from all_logits import read_of

# A language of one token, as unlike in frequency as words are: a common one, some others, and a tail of which each has
# 1e-5. In T steps a token opens with 1e-5 / T a step, while uniform numbers in float32 lie 2^-24 = 6e-8 apart.
SIZES, SHARES, T = torch.tensor([1, 100, 20_000]), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), 1000


def group_counts(tokens: Tensor) -> Tensor:
    """How many tokens are of each group, float64 [3]."""
    return torch.bincount(torch.bucketize(tokens, SIZES.cumsum(0) - 1), minlength=len(SIZES)).double()


def entropy(counts: Tensor) -> float:
    """Of tokens, in nats, as those of a group are equally frequent."""
    shares = counts / counts.sum()
    return float(torch.special.entr(shares).sum() + (shares * SIZES.log()).sum())


def opening(step: int) -> float:
    """The probability that a masked position opens in a step: (alpha_s - alpha_t) / (1 - alpha_t) at t = 1 - step/T."""
    return 1 / (T - step)


def drawn_with_gumbel_noise(rows: int) -> Tensor:
    """Groups of texts drawn as the authors' code draws them: argmax of q / -log u over all tokens and the mask, float32
    throughout. Within a group, whose q are equal, the largest is that of the largest u, and is found before the log."""
    generator, sizes = torch.Generator().manual_seed(0), [*SIZES.tolist(), 1]
    drawn = torch.full((rows,), len(SIZES))
    for step in range(T):
        q = torch.cat([SHARES / SIZES * opening(step), torch.tensor([1 - opening(step)])]).float()
        waiting = (drawn == len(SIZES)).nonzero()[:, 0]
        u = torch.rand(len(waiting), sum(sizes), generator=generator)
        largest = torch.stack([part.amax(1) for part in u.split(sizes, 1)], 1)
        drawn[waiting] = (q / -largest.log()).argmax(1)
    return torch.bincount(drawn, minlength=len(SIZES)).double()


def emulated_gumbel_noise(digits: int, rows: int) -> Tensor:
    """The same for uniform numbers of so many binary digits, a group at once: the largest of n is the n-th root of one,
    rounded down."""
    generator, drawn = torch.Generator().manual_seed(0), torch.full((rows,), len(SIZES))
    sizes = torch.cat([SIZES, torch.ones(1)])
    for step in range(T):
        q = torch.cat([SHARES / SIZES * opening(step), torch.tensor([1 - opening(step)])])
        u = torch.rand(rows, len(sizes), generator=generator, dtype=torch.float64) ** (1 / sizes)
        u = torch.floor(u * 2.0**digits) / 2.0**digits
        found = (q / -u.clamp_max(1 - 2.0**-digits).log()).argmax(1)
        drawn = torch.where(drawn == len(SIZES), found, drawn)
    return torch.bincount(drawn, minlength=len(SIZES)).double()


@pytest.mark.slow
def test_single_precision_gumbel_noise_loses_rare_tokens_and_two_stage_draws_do_not() -> None:
    rows, mask = 4000, int(SIZES.sum())
    word = torch.cat([(SHARES / SIZES).repeat_interleave(SIZES), torch.zeros(1)]).log().float()

    def predict(sequence: Tensor) -> Tensor:
        return word.expand(*sequence.shape, len(word))

    two_stage = torch.zeros(len(SIZES), dtype=torch.float64)
    for start in range(0, rows, 250):
        sequence, seeds = torch.full((250, 1), mask), CounterRNG(torch.arange(start, start + 250))
        texts = ancestral(
            read_of(predict), sequence, steps=T, schedule=LogLinear(eps=0.0), mask_id=mask, seeds=seeds, cached=True
        )
        two_stage += group_counts(texts[:, 0])
    single, double = (emulated_gumbel_noise(digits, rows) for digits in (24, 53))

    truth = entropy(SHARES)
    surprise = (SIZES / SHARES).log()  # of a token of each group
    spread = math.sqrt(float((SHARES * (surprise - truth).square()).sum()) / rows)
    tail, deviation = float(SHARES[-1]), math.sqrt(float(SHARES[-1] * (1 - SHARES[-1])) / rows)
    for counts in (two_stage, double):
        assert float(counts[-1]) / rows == pytest.approx(tail, abs=4 * deviation)
        assert entropy(counts) == pytest.approx(truth, abs=4 * spread)
    assert float(single[-1]) / rows < tail - 6 * deviation
    assert entropy(single) < truth - 6 * spread

    few = 64  # each takes some ten million uniform numbers
    real = drawn_with_gumbel_noise(few)
    more = math.sqrt(rows / few)
    assert float(real[-1]) / few < tail - 2.5 * more * deviation
    assert entropy(real) < truth - 2.5 * more * spread
    assert float(real[-1]) / few == pytest.approx(float(single[-1]) / rows, abs=3 * more * deviation)
    assert entropy(real) == pytest.approx(entropy(single), abs=3 * more * spread)
