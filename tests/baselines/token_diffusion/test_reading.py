"""A network of token diffusion that reads its tokens itself reads what its logits say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.common import sampling
from baselines.common.sampling import uniforms_of
from baselines.common.transformer import TrunkConfig
from baselines.token_diffusion import system
from baselines.token_diffusion.masked import surest_clean
from baselines.token_diffusion.system import TokenDenoiser
from cosmos.models import token_head
from cosmos.runtime import compilation
from cosmos.runtime.rng import CounterRNG
from cosmos.text.vocabulary import MASK

ROWS, LENGTH, VOCABULARY = 30, 7, 24


@pytest.fixture(scope="module")
def network() -> TokenDenoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = TokenDenoiser(TrunkConfig(16, 2, 2, 32), VOCABULARY, LENGTH, 0, 1).eval().requires_grad_(False)
    found.tokens.weight[9] = found.tokens.weight[5]  # two tokens that are always equal
    return found


@pytest.fixture
def sequence() -> Tensor:
    random = torch.Generator().manual_seed(1)
    found = torch.randint(6, VOCABULARY, (ROWS, LENGTH), generator=random)
    return found.masked_fill(torch.rand(found.shape, generator=random) < 0.6, MASK)


@pytest.fixture(params=[1, 1 << 22], ids=["chunks", "whole"], autouse=True)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(token_head.CHUNK_LOGITS, "cpu", request.param)


def test_the_best_tokens_are_those_of_the_logits(network: TokenDenoiser, sequence: Tensor) -> None:
    found = network(sequence, None, read="best")
    assert torch.equal(found, network(sequence, None).argmax(-1)) and not bool((found == 9).any())


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("given", [0, ROWS])
def test_the_surest_are_read_of_masked_positions_alone(
    indexed: bool, given: int, network: TokenDenoiser, sequence: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an accelerator all positions are read, and the result is the same."""
    monkeypatch.setattr(system, "can_index_by_mask", lambda tensor: indexed)
    sequence[:given] = 7  # nothing is masked, at least in these
    masked = sequence == MASK
    sure, likely = surest_clean(network(sequence, None), MASK)
    sureness, tokens = network(sequence, None, read="surest")
    assert sureness.dtype == torch.float32
    torch.testing.assert_close(sureness, sure.masked_fill(~masked, -torch.inf), rtol=1e-5, atol=1e-6)
    assert torch.equal(tokens, torch.where(masked, likely, sequence))
    assert not bool((tokens == MASK).any())


@pytest.mark.slow
@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
def test_the_surest_are_the_same_compiled(network: TokenDenoiser, sequence: Tensor) -> None:
    expected = network(sequence, None, read="surest")
    with compilation.compiled([]):
        sureness, tokens = network(sequence, None, read="surest", compiled=True)
    torch.testing.assert_close(sureness, expected[0], rtol=1e-5, atol=1e-5)
    assert torch.equal(tokens, expected[1])


def test_uniform_numbers_made_ahead_are_those_of_draws_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "DRAWN_AHEAD", 3 * 4 * 2 * 5)
    one_by_one, ahead = CounterRNG(torch.arange(4)), CounterRNG(torch.arange(4))
    found = list(uniforms_of(ahead, 7, 2, 5))
    assert len(found) == 7 and all(torch.equal(value, one_by_one.uniform(2, 5)) for value in found)
    assert ahead.draws == one_by_one.draws == 7
