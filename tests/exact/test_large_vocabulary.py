"""Samplers on a language of 1,024 tokens whose best denoiser is known, beside the authors' rules written out.

What tests of three tokens cannot see: that a token which was drawn by chance, of which a large vocabulary has many, is
not left again.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.common.sampling import nucleus
from baselines.token_diffusion.masked import LogLinear
from baselines.token_diffusion.uniform import LAST_TIME, ancestral, posterior, sample_posterior
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from known_texts import SLIPS, L, V, denoise, slips

EXACT, TEXTS = LogLinear(eps=0.0), 50


def duo(steps: int, *, greedy_tail: bool = False, top_p: float = 1.0) -> Tensor:
    seeds = CounterRNG(torch.arange(TEXTS))
    return ancestral(
        denoise, length=L, vocabulary=V, steps=steps, schedule=EXACT, seeds=seeds, greedy_tail=greedy_tail, top_p=top_p
    )


def duo_as_its_authors_wrote_it(steps: int, top_p: float, end: str) -> Tensor:
    """`steps` - 1 steps from 1 to 1e-5, each from the posterior of the cut prediction; then what `end` says of the
    last call: the argmax of the prediction, or that of the posterior."""
    seeds = CounterRNG(torch.arange(TEXTS))
    sequence = (seeds.uniform(L) * V).long()
    times = torch.linspace(1.0, 1e-5, steps, dtype=torch.float64)
    for t, s in itertools.pairwise(times):
        logits, uniform = nucleus(denoise(sequence, (1 - t).expand(TEXTS)), top_p), seeds.uniform(2, L)
        sequence = sample_posterior(logits, sequence, 1 - t, 1 - s, uniform[:, 0], uniform[:, 1])
    logits = denoise(sequence, (1 - times[-1]).expand(TEXTS))
    if end == "posterior":
        return posterior(logits.softmax(-1), sequence, 1 - times[-1], torch.ones((), dtype=torch.float64)).argmax(-1)
    return logits.argmax(-1)


@pytest.mark.parametrize(("steps", "most"), [(4, 0.06), (16, 0.002), (64, 0.002)])
def test_the_greedy_tail_of_duo_takes_the_prediction(steps: int, most: float) -> None:
    texts = duo(steps, greedy_tail=True)
    assert torch.equal(texts, duo_as_its_authors_wrote_it(steps, 1.0, "prediction"))
    assert float(slips(texts).mean()) < most
    # The posterior keeps what noise is left, as the noisy token at hand weighs thousands of times more.
    if steps > 4:
        assert float(slips(duo_as_its_authors_wrote_it(steps, 1.0, "posterior")).mean()) > 0.01
    assert LAST_TIME == 1e-5


@pytest.mark.parametrize(("steps", "most"), [(4, 0.05), (16, 0.002)])
def test_a_nucleus_of_duo_cuts_the_prediction_and_no_posterior(steps: int, most: float) -> None:
    """Slips are outside the nucleus of the prediction; in that of a posterior the token at hand stays for ever."""
    assert float(slips(duo(steps, top_p=0.9)).mean()) < most


@pytest.mark.parametrize("steps", [16, 64])
def test_ancestral_steps_of_duo_slip_as_often_as_the_language(steps: int) -> None:
    assert float(slips(duo(steps)).mean()) == pytest.approx(SLIPS, abs=0.025)  # three deviations of 600 tokens
