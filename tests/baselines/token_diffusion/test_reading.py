"""A network of token diffusion that reads its tokens itself reads what its logits say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.common import sampling
from baselines.common.sampling import uniforms_of
from baselines.common.transformer import TrunkConfig
from baselines.token_diffusion.masked import surest_clean
from baselines.token_diffusion.masked_samplers import draw_clean
from baselines.token_diffusion.reading import LogitReading, RowReader
from baselines.token_diffusion.score_entropy import draw_absorb, draw_analytic, draw_euler
from baselines.token_diffusion.system import TokenDenoiser
from baselines.token_diffusion.uniform import draw_posterior
from cosmos.models import token_reading
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
    monkeypatch.setitem(token_reading.READ_LOGITS, "cpu", request.param)


def test_the_best_tokens_are_those_of_the_logits(network: TokenDenoiser, sequence: Tensor) -> None:
    found = network(sequence, None, read="best")
    assert torch.equal(found, network(sequence, None).argmax(-1)) and not bool((found == 9).any())


@pytest.mark.parametrize("index", [None, [3, 200, 3, 0], []])
def test_what_is_read_is_what_the_rows_make_of_the_logits(
    index: list[int] | None, network: TokenDenoiser, sequence: Tensor
) -> None:
    uniform, how = CounterRNG(torch.arange(ROWS)).uniform(LENGTH), {"mask_id": MASK, "top_p": 0.9}
    at = None if index is None else torch.tensor(index, dtype=torch.int64)
    tokens, drawn = network(sequence, None, read=LogitReading(draw_clean, (uniform,), how, at))
    expected = draw_clean(network(sequence, None), uniform, **how)
    if at is not None:
        expected = expected[0].flatten()[at], expected[1].flatten()[at]
    assert torch.equal(tokens, expected[0]) and not bool((tokens == MASK).any())
    torch.testing.assert_close(drawn, expected[1], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.skipif(not compilation.has_compiler(), reason="compiling needs a C++ compiler")
@pytest.mark.parametrize("rows", [draw_clean, draw_absorb, draw_euler, draw_analytic, draw_posterior, surest_clean])
def test_what_is_read_is_the_same_compiled(rows: RowReader, network: TokenDenoiser, sequence: Tensor) -> None:
    uniform, other = CounterRNG(torch.arange(ROWS)).uniforms(2, LENGTH)
    third = torch.full((), 0.3, dtype=torch.float64)
    columns, constants = {
        draw_clean: ((uniform,), {"mask_id": MASK, "top_p": 0.9}),
        draw_absorb: ((uniform,), {"mask_id": MASK}),
        draw_euler: ((sequence, uniform), {"amount": third}),
        draw_analytic: ((sequence, uniform), {"grown": 1.0 + third}),
        draw_posterior: ((sequence, uniform, other), {"alpha_t": third, "alpha_s": 2.0 * third, "top_p": 0.9}),
        surest_clean: ((), {"mask_id": MASK}),
    }[rows]
    expected = network(sequence, None, read=LogitReading(rows, columns, constants))
    with compilation.compiled([]):
        found = network(sequence, None, read=LogitReading(rows, columns, constants, compiled=True))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_uniform_numbers_made_ahead_are_those_of_draws_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "DRAWN_AHEAD", 3 * 4 * 2 * 5)
    one_by_one, ahead = CounterRNG(torch.arange(4)), CounterRNG(torch.arange(4))
    found = list(uniforms_of(ahead, 7, 2, 5))
    assert len(found) == 7 and all(torch.equal(value, one_by_one.uniform(2, 5)) for value in found)
    assert ahead.draws == one_by_one.draws == 7
